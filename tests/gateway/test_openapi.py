"""The API against its own description: schemathesis makes right requests and wrong ones, and reads the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import hypothesis
import pytest
import schemathesis
from schemathesis import Case
from serving import Server, serving

from belljar.gateway.openapi import document, operations
from belljar.gateway.routes import route_names, routes

MAX_SESSIONS = 16
SCRIPT = """
[[conversation]]
[[conversation.turn]]
code = "print(6 * 7)"
[[conversation.turn]]
text = "It is {{ stdout }}."
"""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model speaks from a script."""
    state = tmp_path_factory.mktemp("described")
    script = state / "script.toml"
    script.write_text(SCRIPT)
    with serving(
        state, upstream=f"scripted:{script}", preload={"bare": []}, max_sessions=MAX_SESSIONS
    ) as server:
        yield server


# What goes on at /mcp is described by the protocol's own specification, and tried in tests/mcp.
api = schemathesis.openapi.from_dict(json.loads(document(MAX_SESSIONS))).exclude(path="/mcp")


@schemathesis.serializer("application/x-ndjson")
def lines(ctx: object, value: object) -> object:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@api.hook
def filter_case(context: object, case: Case) -> bool:
    """What no schema can say: things in a list have names of their own, the code that may call a tool is offered, and
    lines are text whatever is in them."""
    if case.media_type == "application/x-ndjson" and not isinstance(case.body, str):
        return False
    listed = [case.body.get(name) for name in ("tools", "files")] if isinstance(case.body, dict) else []
    for things in listed:
        names = (
            [thing.get("name") for thing in things if isinstance(thing, dict)]
            if isinstance(things, list)
            else []
        )
        if any(name in names[:place] for place, name in enumerate(names)):
            return False
        callers = [thing.get("allowed_callers") for thing in things or () if isinstance(thing, dict)]
        if any(isinstance(named, list) and named != ["direct"] for named in callers):
            return False
    return True


@api.parametrize()
@hypothesis.settings(max_examples=20, derandomize=True, database=None)
def test_every_answer_is_as_described(case: Case, described: Server) -> None:
    case.call_and_validate(base_url=described.url)


def test_what_one_answer_names_the_next_request_finds(described: Server) -> None:
    """Containers and files, made, asked for and deleted in whatever order."""

    # A file that was sent is not handed out: no schema tells it from one that a run has made.
    without_content = api.exclude(path="/v1/files/{id}/content")

    class Requests(without_content.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Case) -> dict[str, object]:
            return {"base_url": described.url}

    Requests.run(
        settings=hypothesis.settings(max_examples=10, stateful_step_count=6, derandomize=True, database=None)
    )


def test_every_route_is_described_and_nothing_else() -> None:
    assert set(operations(MAX_SESSIONS)) == set(route_names(routes()).values())


def test_the_description_is_served(described: Server) -> None:
    served = httpx2.get(f"{described.url}/openapi.json")
    assert served.headers["content-type"] == "application/json"
    assert served.content == document(MAX_SESSIONS)
    assert served.json()["openapi"] == "3.1.0"


def test_keys_are_described() -> None:
    whole = json.loads(document(MAX_SESSIONS))
    assert {scheme["type"] for scheme in whole["components"]["securitySchemes"].values()} == {
        "apiKey",
        "http",
    }
    named = {name for choice in whole["security"] for name in choice}
    assert named == set(whole["components"]["securitySchemes"])
    assert whole["paths"]["/health"]["get"]["security"] == []
    assert "security" not in whole["paths"]["/v1/messages"]["post"]
