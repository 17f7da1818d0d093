"""What a request costs: plans as data, and the amounts that come out."""

from __future__ import annotations

from pathlib import Path

import pytest

from belljar.errors import InvalidRequest
from belljar.gateway.pricing import Amount, Counts, Plan, amount, is_free, load, parsed

HOUR = 3600 * 1_000_000


def plan(name: str) -> Plan:
    found = load(name)
    assert found is not None
    return found


def counts(
    model: str = "claude-sonnet-4", tools: tuple[str, ...] = (), seconds: float = 0, **tokens: int
) -> Counts:
    return Counts(model, tools, tokens, int(seconds * 1_000_000), has_run=bool(seconds))


def test_tutorial_counts_code_as_input_and_what_comes_out_as_output() -> None:
    tutorial = plan("tutorial")
    used = counts(input=10_000, output=10_000, code=1000, results=200, images=1600)
    assert amount(tutorial, used, 0) == Amount(1000 * 3 + (200 + 1600) * 15, 0)
    assert amount(tutorial, counts("claude-opus-4-1", code=1000), 0).micro == 5000
    assert amount(tutorial, counts("", code=10), 0).micro == 30


@pytest.mark.parametrize(
    ("name", "tool", "free"),
    [
        ("tutorial", "web_search_20250305", True),
        ("tutorial", "web_search_20260209", True),
        ("tutorial", "web_fetch_20260209", False),
        ("tutorial", "custom", False),
        ("container-hours", "web_search_20250305", False),
        ("container-hours", "web_search_20260209", True),
        ("container-hours", "web_fetch_20260301", True),
        ("container-hours", "code_execution_20260521", False),
    ],
)
def test_what_makes_a_request_free(name: str, tool: str, free: bool) -> None:
    assert is_free(plan(name), ["custom", tool]) is free
    used = counts(tools=(tool,), seconds=3600, code=1000)
    assert (amount(plan(name), used, 1000 * HOUR).micro == 0) is free


def test_container_hours_have_an_allowance_and_a_minimum() -> None:
    hours = plan("container-hours")
    assert amount(hours, counts(seconds=1), 0) == Amount(0, 300_000_000)
    assert amount(hours, counts(seconds=1), 50 * HOUR) == Amount(round(50_000 / 12), 300_000_000)
    assert amount(hours, counts(seconds=7200), 49 * HOUR) == Amount(50_000, 2 * HOUR)
    assert amount(hours, counts(), 60 * HOUR) == Amount(0, 0)


def test_a_plan_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\ncurrency = "EUR"\n[charges]\ninput = "input"\ncache_read = "cached"\n'
        '[[models]]\nmodel = "small-*"\nprice = { input = 0.1, cached = 0.01 }\n'
    )
    mine = plan(str(file))
    assert amount(mine, counts("small-1", input=15, cache_read=150), 0).micro == 3
    assert amount(mine, counts("small-1", input=5), 0).micro == 1, "halves are rounded up"
    assert amount(mine, counts("large", input=10**6), 0).micro == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name", "price_plan: f: "),
        ('name = "x"\ncurrency = "usd"', "currency"),
        ('name = "x"\ncurrency = "USD"\nprice = 3', "price: Extra"),
        ('name = "x"\ncurrency = "USD"\n[charges]\nfood = "input"', "charges.food"),
        ('name = "x"\ncurrency = "USD"\n[container]\nper_hour = -1', "container.per_hour"),
    ],
)
def test_what_is_no_plan_says_where(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(text, "f")
    assert says in str(caught.value)


def test_a_plan_that_is_not_there_names_those_that_are() -> None:
    assert load("") is None
    with pytest.raises(InvalidRequest, match="container-hours, tutorial"):
        load("nowhere")
