"""Models by name: the table, the routes, the fallback, and where keys do not get to."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chatting import ChatModel
from click.testing import CliRunner
from fakes import Keepers
from serving import BreakOff, Model, Refusal, Stall, ask, code, said, serving, text, told
from test_loop import Played, parts_with, send, shapes

from belljar.commands import main
from belljar.errors import InvalidRequest, NotFound, UpstreamError
from belljar.gateway.turn import MessageFold
from belljar.gateway.upstream import Caller, Event, Request, Upstream, nearby
from belljar.gateway.upstream.opening import open_upstream
from belljar.gateway.upstream.retrying import RetryingUpstream, pause
from belljar.gateway.upstream.table import load
from belljar.settings import Settings

SECRET = "sk-secret-of-the-table-0123456789"
BUSY = Refusal(529, b'{"error": {"type": "overloaded_error", "message": "later"}}')


def table(first: Model, second: Model, key: str = "env:SOME_KEY") -> str:
    return f"""
[[upstream]]
name = "first"
kind = "anthropic"
url = "{first.url}"
key = "{key}"
fallback = "second"
defaults = {{ temperature = 0.1, top_k = 3 }}

[[upstream]]
name = "second"
kind = "openai"
url = "{second.url}"
timeout_seconds = 5
defaults = {{ temperature = 0.2 }}

[[model]]
id = "fast"
upstream = "second"
name = "qwen-30b-q4"
defaults = {{ seed = 1 }}

[[model]]
id = "claude-*"
upstream = "first"
fallback_name = "stand-in"

[[model]]
id = "*-local"
upstream = "second"
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, the_model: Model) -> Any:
    monkeypatch.setenv("SOME_KEY", SECRET)
    with ChatModel() as second:
        the_model.play()
        path = tmp_path / "models.toml"
        path.write_text(table(the_model, second))
        yield the_model, second, Settings(models=path, upstream_retries=0)


async def answer(upstream: Upstream, model: str, **more: Any) -> MessageFold:
    request = {
        "model": model,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Go."}],
        "stream": True,
        **more,
    }
    fold = MessageFold()
    async with aclosing(upstream.stream(request, Caller(api_key="the-callers-own-key"))) as events:  # type: ignore[type-var]
        async for event in events:
            fold.add(event)
    return fold


@pytest.mark.anyio
async def test_routes(models: tuple[Model, Model, Settings]) -> None:
    first, second, settings = models
    async with open_upstream(settings) as upstream:
        first.play([text("From the first.")])
        second.play([text("From the second.")], [text("From a pattern.")])
        claude = await answer(upstream, "claude-5", temperature=0.9)
        assert (claude.blocks, first.requests[0]["model"]) == ([text("From the first.")], "claude-5")
        assert (first.requests[0]["temperature"], first.requests[0]["top_k"]) == (0.9, 3)
        assert first.headers[0]["x-api-key"] == SECRET
        fast = await answer(upstream, "fast")
        assert (fast.blocks, fast.message["model"]) == ([text("From the second.")], "fast")
        asked = second.requests[0]
        assert (asked["model"], asked["temperature"], asked["seed"]) == ("qwen-30b-q4", 0.2, 1)
        await answer(upstream, "my-local")
        assert second.requests[1]["model"] == "my-local"
        assert all("authorization" not in headers for headers in second.headers), "nobody's key, unasked"
        with pytest.raises(NotFound, match=r"no gpt.*fast, claude-\*, \*-local"):
            await answer(upstream, "gpt")
        with pytest.raises(NotFound, match="no gpt"):
            upstream.traits("gpt")
        assert [upstream.traits(model).is_guided for model in ("claude-5", "fast")] == [False, True]


@pytest.mark.anyio
async def test_the_fallback(models: tuple[Model, Model, Settings]) -> None:
    first, second, settings = models
    async with open_upstream(settings) as upstream:
        first.play(BUSY)
        second.play([text("I stand in.")])
        stood_in = await answer(upstream, "claude-5")
        assert (stood_in.blocks, second.requests[0]["model"]) == ([text("I stand in.")], "stand-in")
        assert stood_in.message["model"] == "model-1-20260101", "the answer says who it is from"
        # What has begun, and what is wrong with the request, is the first one's to tell.
        first.play(BreakOff([text("It begins.")], 3), told({"error": {"type": "x", "message": "no"}}, 400))
        second.play([text("never")])
        for words in ("broke off", "no"):
            with pytest.raises(UpstreamError, match=words):
                await answer(upstream, "claude-5")
        assert not second.requests


@pytest.mark.anyio
async def test_the_list(models: tuple[Model, Model, Settings]) -> None:
    first, second, settings = models
    listed = [{"id": name} for name in ("claude-5", "other", "claude-4")]
    async with open_upstream(settings) as upstream:
        first.play(told({"data": listed}))
        second.play(told({"data": [{"id": "qwen-30b-q4", "max_model_len": 4096}, {"id": "my-local"}]}))
        found = await upstream.models(Caller())
        assert [model["id"] for model in found] == ["fast", "claude-5", "claude-4", "my-local"]
        assert found[0]["max_model_len"] == 4096
        assert await upstream.model("fast", Caller()) == found[0]
        assert await upstream.model("other", Caller()) is None
    async with open_upstream(settings) as upstream:
        first.play(Refusal(500, b"oops"))
        second.play(told({"data": []}))
        assert await upstream.models(Caller()) == [{"id": "fast"}], "one that is down hides no other"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('key = "env:SOME_KEY"', f'key = "{SECRET}"'), "upstream.0.key: .*never the key itself"),
        (('key = "env:SOME_KEY"', 'key = "file:/nowhere/at/all"'), "cannot be read from /nowhere"),
        (('key = "env:SOME_KEY"', 'key = "env:UNSET_KEY"'), "env:UNSET_KEY, and there is none"),
        (('url = "http://', f'url = "http://u:{SECRET}@'), "upstream.0.url: .*password"),
        (('kind = "openai"', 'kind = "other"'), "upstream.1.kind"),
        (('fallback = "second"', 'fallback = "first"'), "'first' needs another upstream"),
        (('upstream = "first"', 'upstream = "third"'), "'third' that there is not"),
        (("seed = 1", "model = 1"), "'model' is said by each request"),
        (("[[model]]", "[[model]]\nresult_tokens = 99"), "model.0.result_tokens: .*100"),
        (("[[model]]", "[[model]]\nimage_edge = 0"), "model.0.image_edge: .*64"),
        (("[[model]]", '[[model]]\nimages = "no"'), "model.0.images: .*boolean"),
        (
            ("[[model]]", "[[model]]\nimages = false\nimage_bytes = 50000"),
            "leave `image_edge` and `image_bytes` out",
        ),
        (("[[model]]", "[[modle]]"), "model: Field required|modle: Extra"),
        (("[[model]]", "[[model"), "not TOML"),
    ],
)
@pytest.mark.anyio
async def test_tables_that_are_wrong(
    models: tuple[Model, Model, Settings], change: tuple[str, str], says: str
) -> None:
    path = models[2].models
    assert path is not None
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InvalidRequest, match=says) as caught:
        async with open_upstream(models[2]):
            pass
    assert SECRET not in str(caught.value)
    assert str(path) in str(caught.value) or "The key of" in str(caught.value)


def test_a_key_is_in_no_repr(models: tuple[Model, Model, Settings]) -> None:
    assert models[2].models is not None
    assert SECRET not in repr(load(models[2].models)) + repr(models[2])


# Trying again


class Busy:
    """Refuses as it is told to, then answers."""

    kind = "busy"

    def __init__(self, *errors: UpstreamError) -> None:
        self.errors = list(errors)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        if self.errors:
            raise self.errors.pop(0)
        yield {"type": "message_stop"}


@pytest.mark.anyio
@pytest.mark.parametrize("status", [400, 401, 429, 500, 502, 503, 504, 529])
async def test_what_is_tried_again(status: int) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    refusing = Busy(UpstreamError("x", status=status, retry_after="7"), UpstreamError("x", status=status))
    upstream = RetryingUpstream(refusing, 2, sleep)  # type: ignore[arg-type]
    if status in {429, 502, 503, 529}:
        assert [event async for event in upstream.stream({}, Caller())] == [{"type": "message_stop"}]
        assert slept[0] == 7
        assert 0.5 <= slept[1] <= 1
    else:
        with pytest.raises(UpstreamError):
            [event async for event in upstream.stream({}, Caller())]
        assert not slept


def test_pauses() -> None:
    assert pause(0, "0") == 0
    assert pause(0, "31") is None
    soon, late = (format_datetime(datetime.now(UTC) + timedelta(seconds=s), usegmt=True) for s in (20, 300))
    assert 0 <= (pause(0, soon) or 0) <= 20
    assert pause(0, late) is None
    assert 15 <= (pause(9, "nonsense") or 0) <= 30


# A model that does not learn


@pytest.mark.anyio
async def test_a_model_that_cannot_write_input_is_heard_three_times(tmp_path: Path) -> None:
    broken = [{"type": "tool_use", "id": "toolu_1", "name": "code_execution", "input": "print("}]
    upstream = Played(broken, broken, [code("one", "toolu_9")], broken, broken, broken, [text("never")])
    async with parts_with(tmp_path, upstream, Keepers()) as parts:
        message = await send(parts, [{"role": "user", "content": "Go."}])
    assert (len(upstream.requests), message["stop_reason"]) == (6, "end_turn"), (
        "one that could be read starts anew"
    )
    (error,) = upstream.requests[1]["messages"][-1]["content"]
    assert error["is_error"] is True
    assert "not a JSON object" in error["content"][0]["text"]
    assert shapes(message)[-2:] == ["code_execution_tool_result", "text"]
    assert "3 times in a row" in message["content"][-1]["text"]


# The whole server


SEARCH = """
import ctypes, os
# The needles are kept with every byte changed, so that the search does not find itself.
needles = {{"key": bytes.fromhex("{key}"), "planted": bytes.fromhex("{planted}")}}
planted = bytes(byte ^ 85 for byte in needles["planted"])
found = dict.fromkeys(needles, 0)
seen = [os.environb[name] for name in os.environb]
with open("/proc/self/maps") as maps:
    regions = [line.split() for line in maps]
for region in regions:
    # Files are not written to, and may be shorter than their mappings.
    if "r" in region[1] and (len(region) == 5 or region[5] in ("[heap]", "[stack]")):
        start, end = (int(part, 16) for part in region[0].split("-"))
        seen.append(ctypes.string_at(start, end - start))
for data in seen:
    at = data.find(b"sk-")
    while at >= 0:
        for name, needle in needles.items():
            found[name] += bytes(byte ^ 85 for byte in data[at : at + len(needle)]) == needle
        at = data.find(b"sk-", at + 1)
print("key", found["key"], "planted", found["planted"] > 0)
"""


def hidden(text: str) -> str:
    return bytes(byte ^ 85 for byte in text.encode()).hex()


def test_a_server_with_a_table(
    models: tuple[Model, Model, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, settings = models
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    state = tmp_path / "state"
    search = SEARCH.format(key=hidden(SECRET), planted=hidden("sk-of-no-use"))
    first.play([code(search)], [text("Nothing.")], Refusal(401, json.dumps({"error": SECRET}).encode()))
    second.play([code("print(6 * 7)")], [text("It is 42.")])
    with (
        serving(state, models=str(settings.models), preload={}, parked=0) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        fast = http.post("/v1/messages", json=ask("Go.", model="fast")).json()
        assert fast["content"][-1] == text("It is 42.")
        assert second.requests[1]["messages"][-1]["content"].startswith("42")
        searched = http.post("/v1/messages", json=ask("Search.", model="claude-5"))
        printed = first.requests[1]["messages"][-1]["content"][0]["content"][0]["text"]
        assert printed.strip() == "key 0 planted True", (
            "what lies in the guest's memory is found, and no key is"
        )
        refused = http.post("/v1/messages", json=ask("Go.", model="claude-5"))
        assert (refused.status_code, refused.json()["error"]["message"]) == (401, "[the key]")
        unknown = http.post("/v1/messages", json=ask("Go.", model="gpt"))
        assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found_error")
        assert http.get("/health").json()["upstream"] == "models"
        said = "".join(answer.text for answer in (searched, refused, unknown))
    assert SECRET not in said + server.log.read_text()


def test_models_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.toml"
    script.write_text('[[conversation]]\n[[conversation.turn]]\ntext = "I would rather not."\n')
    path = tmp_path / "models.toml"
    path.write_text(
        f'[[upstream]]\nname = "shy"\nkind = "scripted"\nscript = "{script}"\n'
        '[[model]]\nid = "shy-1"\nupstream = "shy"\n'
    )
    run = CliRunner().invoke
    listed = run(main, ["models", "list", "--models", str(path), "--json"])
    assert json.loads(listed.stdout) == [{"id": "shy-1", "upstream": "shy"}]
    refused = run(main, ["models", "check", "shy-1", "nobody", "--models", str(path), "--json"])
    assert refused.exit_code == 1
    shy, nobody = (by_name(one) for one in json.loads(refused.stdout))
    assert {name: one["works"] for name, one in shy.items()} == {
        "connects": True,
        "streams": False,
        "tools offered": True,
        "tool called": False,
        "result used": None,
        "usage": False,
    }
    assert "said 'I would rather not.'" in shy["tool called"]["why"]
    assert "there is no nobody" in nobody["connects"]["why"]
    assert nobody["tool called"]["works"] is None
    works = run(main, ["models", "check", "--upstream", "direct"])
    assert works.exit_code == 0
    assert works.stdout.splitlines()[0] == "direct: works"


def by_name(checked: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in checked["findings"]}


@pytest.mark.parametrize(
    ("bounds", "events", "is_offered", "is_called", "why"),
    [
        (["--seconds", "1"], 3, True, False, "its answer had not ended after 1 seconds"),
        (["--seconds", "1"], 0, None, None, "no answer had begun after 1 seconds"),
        (["--max-tokens", "16"], 0, True, False, "not called it within 16 tokens"),
    ],
)
def test_a_model_that_never_calls_the_tool_is_a_finding(
    bounds: list[str], events: int, is_offered: bool | None, is_called: bool | None, why: str
) -> None:
    """One server stalls for ever, another talks until its tokens are used up."""
    words = [text("Well, well, well.")]
    until = threading.Event()

    def plays(path: str, body: dict[str, Any] | None) -> Any:
        assert body is not None
        if "tools" not in body:
            return words
        if "--seconds" in bounds:
            return Stall(until, words, events)
        assert body["max_tokens"] == 16
        return said(words, "max_tokens")

    with ChatModel(plays) as chat:
        options = ["--upstream", f"openai:{chat.url}", "--json", *bounds]
        found = CliRunner().invoke(main, ["models", "check", "talker", *options])
        until.set()
    assert found.exit_code == 1
    seen = by_name(json.loads(found.stdout)[0])
    names = ("connects", "streams", "tools offered", "tool called", "result used")
    assert [seen[name]["works"] for name in names] == [True, True, is_offered, is_called, None]
    assert why in seen["tools offered" if is_offered is None else "tool called"]["why"]


def test_a_server_that_refuses_tools_is_a_finding() -> None:
    def plays(path: str, body: dict[str, Any] | None) -> Any:
        assert body is not None
        if "tools" in body:
            return told({"error": {"message": "tools are not supported", "code": 400}}, 400)
        return [text("One, two, three.")]

    with ChatModel(plays) as chat:
        options = ["--upstream", f"openai:{chat.url}", "--json"]
        found = CliRunner().invoke(main, ["models", "check", "plain", *options])
    seen = by_name(json.loads(found.stdout)[0])
    assert (found.exit_code, seen["connects"]["works"], seen["usage"]["works"]) == (1, True, True)
    assert seen["tools offered"] == {
        "name": "tools offered",
        "works": False,
        "why": "tools are not supported",
    }


@pytest.mark.anyio
async def test_servers_on_this_machine_are_found(model: Model) -> None:
    ollama = nearby.Place("Ollama", model.url, "/api/version")
    llama = nearby.Place("llama.cpp", model.url, "/health")
    model.play(told({"version": "0.14.0"}))
    assert await nearby.find([ollama]) == [ollama]
    model.play(Refusal(200, b"a page"), Refusal(200, b'{"status": "ok"}', {"server": "llama.cpp"}))
    assert await nearby.find([ollama]) == []
    assert await nearby.find([llama]) == [llama]
    assert await nearby.find([nearby.Place("Ollama", "http://127.0.0.1:9", "/api/version")]) == []


def test_a_model_that_writes_code_in_fences(tmp_path: Path) -> None:
    """Over HTTP, with code that really runs: the model's server is sent no tools, and the client sees uses of them."""
    with ChatModel() as writer:
        (tmp_path / "models.toml").write_text(f"""
[[upstream]]
name = "small"
kind = "openai"
url = "{writer.url}"

[[model]]
id = "writer"
upstream = "small"
fences = true
""")
        writer.play([text("I compute:\n```python\nprint(6 * 7)\n```\nIt prints 41.")], [text("It is 42.")])
        with serving(tmp_path / "state", models=str(tmp_path / "models.toml"), preload={}) as server:
            asked = ask("What is 6 * 7?", model="writer")
            headers = {"belljar-profile": "anthropic"}
            message = httpx2.post(f"{server.url}/v1/messages", json=asked, headers=headers, timeout=60).json()
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["text", "server_tool_use", "code_execution_tool_result", "text"]
    assert message["content"][2]["content"]["stdout"] == "42\n"
    assert message["content"][0]["text"] == "I compute:\n"
    assert all("tools" not in request for request in writer.requests)
    assert "[Output of the code, from the sandbox]\n42" in str(writer.requests[1]["messages"]).replace(
        "\\n", "\n"
    )
