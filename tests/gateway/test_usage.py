"""What requests use: rows, prices, tables and budgets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import anyio
import httpx2
import pytest
from serving import Model, Server, ask, code, said, serving, text
from test_access import by, keys, made, until

from belljar import errors
from belljar.gateway.access import Client
from belljar.gateway.pricing import load
from belljar.gateway.store.sqlite import open_store
from belljar.gateway.usage import Meter, money, month_of, open_ledger

PLAN = """
name = "mine"
currency = "EUR"
[charges]
input = "in"
code = "in"
[[models]]
model = "model-*"
price = { in = 1000 }
[[models]]
model = "*"
price = { in = 1000000 }
"""


class Priced:
    """A server with a plan, keys of two tenants, and one key with a budget."""

    server: Server
    http: httpx2.Client

    def __init__(self, state: Path) -> None:
        self.state = state
        self.a = made(state, "a", "--tenant", "one")
        self.b = made(state, "b", "--tenant", "two")
        self.poor = made(state, "poor", "--tenant", "three", "--budget", "0.5", "--budget-period", "total")

    def usage(self, key: str, **query: str) -> list[dict[str, Any]]:
        answer = self.http.get("/v1/usage", params=query, headers=by(key))
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[Priced]:
    one = Priced(tmp_path_factory.mktemp("priced"))
    plan = one.state / "mine.toml"
    plan.write_text(PLAN)
    with (
        serving(
            one.state, upstream=f"anthropic:{the_model.url}", preload={}, price_plan=str(plan)
        ) as one.server,
        httpx2.Client(base_url=one.server.url, timeout=60) as one.http,
    ):
        yield one


def command(state: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from belljar.cli import main; main()", "usage", *arguments],
        env=os.environ | {"BELLJAR_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_message_is_counted_and_priced(priced: Priced, model: Model) -> None:
    model.play(
        [code("print(1234567)")], said([text("done")]) | {"usage": {"input_tokens": 7, "output_tokens": 3}}
    )
    with anthropic.Anthropic(base_url=priced.server.url, api_key=priced.a, max_retries=0) as client:
        message = client.messages.create(**ask("go"))
    assert message.usage.input_tokens == 107
    # 107 of the model's, and 4 for 14 bytes of code: the SDK keeps what it does not know
    extra = message.usage.to_dict()["belljar"]
    assert extra == {"amount": "0.111", "currency": "EUR", "plan": "mine"}
    (line,) = priced.usage(priced.a, group_by="model")
    assert line.pop("container_seconds") > 0
    assert line == {
        "what": "model-1",
        "requests": 1,
        "estimated_requests": 0,
        "input_tokens": 107,
        "output_tokens": 13,
        "cache_creation_tokens": 0,
        "cache_read_tokens": 1,
        "thinking_tokens": 0,
        "code_executions": 1,
        "bash_executions": 0,
        "editor_executions": 0,
        "images": 0,
        "searches": 0,
        "amount": "0.111",
        "currency": "EUR",
    }


def test_a_tenant_sees_its_own_only_and_the_operator_all(priced: Priced) -> None:
    priced.http.post("/v1/executions", json={"code": "1"}, headers=by(priced.b)).raise_for_status()
    batch = '{"code": "1"}\n{"code": "22"}'
    priced.http.post("/v1/executions/batch", content=batch, headers=by(priced.b)).raise_for_status()
    (own,) = priced.usage(priced.b, group_by="tenant")
    assert (own["what"], own["requests"], own["code_executions"]) == ("two", 2, 3)
    assert {line["what"] for line in priced.usage(priced.a, group_by="tenant")} <= {"one"}
    assert priced.usage(priced.b, **{"from": "2020-01-01", "to": "2020-02-01"}) == []
    everybody = json.loads(command(priced.state, "--by", "tenant", "--json"))["data"]
    assert "two" in {line["what"] for line in everybody}
    head, *lines = command(priced.state, "--by", "tenant").splitlines()
    assert head.split("\t")[:2] == ["tenant", "requests"]
    assert [line.split("\t")[1] for line in lines if line.startswith("two\t")] == ["2"]


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-13-01", "group_by=colour"])
def test_a_query_that_makes_no_sense_is_named(priced: Priced, query: str) -> None:
    answer = priced.http.get(f"/v1/usage?{query}", headers=by(priced.a))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(query.partition("=")[0])


def test_past_its_budget_a_key_runs_nothing(priced: Priced, model: Model) -> None:
    run = {"code": "print(1)"}
    assert priced.http.post("/v1/executions", json=run, headers=by(priced.poor)).status_code == 200
    model.play([text("never asked")])
    for path, body in (("/v1/executions", run), ("/v1/messages", ask("hi"))):
        answer = priced.http.post(path, json=body, headers=by(priced.poor))
        assert answer.status_code == 402
        assert answer.headers["x-should-retry"] == "false"
        assert answer.json()["error"]["type"] == "billing_error"
        assert "0.50 EUR in all, and has spent 2.00" in answer.json()["error"]["message"]
    assert model.requests == []
    assert priced.http.get("/v1/usage", headers=by(priced.poor)).status_code == 200
    listed = keys(priced.state, "list").stdout
    assert "budget=0.50" in next(line for line in listed.splitlines() if "  poor  " in line)
    refused = keys(priced.state, "create", "odd", "--budget", "a lot")
    assert refused.returncode == 125 and "--budget" in refused.stderr


def test_every_request_has_one_line_in_the_log_without_what_is_secret(priced: Priced) -> None:
    run = {"code": "print('a-secret-of-the-code')"}
    answer = priced.http.post("/v1/executions", json=run, headers=by(priced.a))
    until(lambda: answer.headers["request-id"] in priced.server.log.read_text(), "the line")
    log = priced.server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if answer.headers["request-id"] in line]
    assert len(lines) == 1
    assert lines[0]["event"] == "request" and lines[0]["what"] == "POST /v1/executions"
    assert (lines[0]["tenant"], lines[0]["status"], lines[0]["executions"]) == ("one", 200, 1)
    assert lines[0]["ms"] > 0 and lines[0]["container"].startswith("container_")
    assert "a-secret-of-the-code" not in log
    assert not any(key in log for key in (priced.a, priced.b, priced.poor))


def test_what_was_used_outlives_the_server(tmp_path: Path) -> None:
    with serving(tmp_path, preload={}, log_level="warning") as server:
        for _ in range(5):
            httpx2.post(f"{server.url}/v1/executions", json={"code": "1"}, timeout=60).raise_for_status()
        assert server.end() == 0
        assert '"event": "request"' not in server.log.read_text()
    (line,) = json.loads(command(tmp_path, "--json"))["data"]
    assert (line["requests"], line["currency"], line["amount"]) == (5, None, "0.00")


@pytest.mark.anyio
async def test_the_ledger_knows_what_was_spent_before(tmp_path: Path) -> None:
    plan = load("container-hours")
    client = Client("one", key_id="key_1", budget=100_000, has_key=True)
    at = 1_790_000_000_000_000
    async with open_store(tmp_path / "store") as store:
        for number, left in enumerate((40, 30, 20)):
            async with open_ledger(store, plan) as ledger:
                meter = Meter(at + number, code_executions=1, container_microseconds=20 * 3600 * 1_000_000)
                await ledger.admit(client, meter)
                micro, _ = ledger.settle(client, meter)
                assert micro == (500_000 if left == 20 else 0)
                assert ledger.settle(client, meter)[0] == micro
                await ledger.record(f"req_{number}", "POST /v1/messages", client, meter, 200)
        assert await store.billed_microseconds("one", month_of(at)) == 60 * 3600 * 1_000_000
        async with open_ledger(store, plan) as ledger:
            with pytest.raises(errors.BudgetSpent, match="this month"):
                await ledger.admit(client, Meter(at))
            await ledger.admit(client, Meter(at + 31 * 86_400_000_000))  # in the next month
            await ledger.prune(400)
        assert await store.spent_amount("key_1", 0) == 500_000
        with anyio.fail_after(5):
            await store.remove_old_usage(at + 10)
        assert await store.spent_amount("key_1", 0) == 0


def test_money_has_two_digits_or_as_many_as_it_has() -> None:
    assert [money(micro) for micro in (0, 1, 500_000, 12_340_000, 1_000_001)] == [
        "0.00",
        "0.000001",
        "0.50",
        "12.34",
        "1.000001",
    ]
