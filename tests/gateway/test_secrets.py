"""No key appears in a log, an error, a span, a document or a guest's memory, however things go wrong."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from chatting import ChatModel
from click.testing import CliRunner
from collector import Collector
from engines import SEARCH, Answer, Engine, search
from serving import BreakOff, Model, Raw, Refusal, Server, ask, serving, text
from test_access import made

from belljar.commands import main


def secret(name: str) -> str:
    return f"sk-{name}-{secrets.token_hex(12)}"


@dataclass
class Keys:
    """Every key that there is, by where it comes from."""

    of_environment: str = field(default_factory=lambda: secret("env"))
    of_file: str = field(default_factory=lambda: secret("file"))
    of_setting: str = field(default_factory=lambda: secret("setting"))
    of_search: str = field(default_factory=lambda: secret("search"))
    of_caller: str = field(default_factory=lambda: secret("caller"))
    of_bearer: str = field(default_factory=lambda: secret("bearer"))
    of_unused: str = field(default_factory=lambda: secret("unused"))
    password: str = field(default_factory=lambda: secret("password"))
    of_collector: str = field(default_factory=lambda: secret("collector"))
    ours: str = ""

    def all(self) -> list[str]:
        plain = [key for key in vars(self).values() if key]
        basic = [base64.b64encode(f"user:{key}".encode()).decode() for key in plain]
        return plain + basic

    def in_text(self, text: str) -> list[str]:
        """Those that stand in a text, whole or in part."""
        # Of each so much as nobody guesses; the word in front is told in tests' own names.
        return [key for key in self.all() if key in text or key[-16:] in text]


SCAN = """
import ctypes, os, sys
# The needles are hidden from this very program, in which they would be found.
needles = [bytes(byte ^ 85 for byte in bytes.fromhex(text)) for text in NEEDLES.split()]
hidden = [bytes(byte ^ 85 for byte in needle) for needle in needles]
heads = {needle[:4] for needle in needles}
del needles
since = float(SINCE)
found = [[0] * len(hidden) for _ in range(3)]  # in the environment, in memory, in files

def look(where, data):
    for head in heads:
        at = data.find(head)
        while at >= 0:
            for number, needle in enumerate(hidden):
                if bytes(byte ^ 85 for byte in data[at : at + len(needle)]) == needle:
                    found[where][number] += 1
            at = data.find(head, at + 1)

planted = bytes(byte ^ 85 for byte in hidden[0])
with open("planted.txt", "wb") as file:
    file.write(planted)
os.environ["PLANTED"] = planted.decode()
for name, value in os.environb.items():
    look(0, name + b"=" + value)
with open("/proc/self/maps") as maps:
    regions = [line.split() for line in maps]
for region in regions:
    # What is mapped of a file is read as a file, below: it may be shorter than its mapping.
    if region[1][0] == "r" and (len(region) == 5 or region[5] in ("[heap]", "[stack]")):
        start, end = (int(part, 16) for part in region[0].split("-"))
        look(1, ctypes.string_at(start, end - start))
for top, folders, files in os.walk("/"):
    if top == "/proc":
        folders[:] = [name for name in folders if name.isdigit()]
    folders[:] = [name for name in folders if name not in ("task", "map_files")]
    for name in files:
        path = os.path.join(top, name)
        try:
            # What was there before the keys were made has none of them.
            if not os.path.isfile(path) or (os.stat(path).st_ctime < since and not top.startswith("/proc")):
                continue
            with open(path, "rb") as file:
                while data := file.read(1 << 20):
                    look(2, data)
        except OSError:
            continue
import json
print(json.dumps({"planted": [where[0] for where in found], "keys": sum(sum(where[1:]) for where in found)}))
"""


def scan(keys: Keys, since: float) -> str:
    """A program that looks for the keys in all that it can read; the first needle is one that it plants itself."""
    hidden = [
        bytes(byte ^ 85 for byte in key.encode()).hex() for key in ("sk-planted-0123456789", *keys.all())
    ]
    return f"NEEDLES = '{' '.join(hidden)}'\nSINCE = '{since}'\n{SCAN}"


def table(first: str, second: str, gone: str, key_file: Path) -> str:
    return f"""
[[upstream]]
name = "first"
kind = "anthropic"
url = "{first}"
key = "env:FIRST_KEY"

[[upstream]]
name = "second"
kind = "openai"
url = "{second}"
key = "file:{key_file}"

[[upstream]]
name = "gone"
kind = "openai"
url = "{gone}"
key = "env:FIRST_KEY"
fallback = "second"

[[upstream]]
name = "passes"
kind = "anthropic"
url = "{first}"
key = "caller"

[[model]]
id = "one"
upstream = "first"

[[model]]
id = "two"
upstream = "second"

[[model]]
id = "gone"
upstream = "gone"

[[model]]
id = "passes"
upstream = "passes"
"""


def nowhere() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatModel]:
    with ChatModel() as chat:
        yield chat


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Keys:
    keys = Keys()
    monkeypatch.setenv("FIRST_KEY", keys.of_environment)
    monkeypatch.setenv("ANTHROPIC_API_KEY", keys.of_unused)
    monkeypatch.setenv("OPENAI_API_KEY", keys.of_unused)
    monkeypatch.setenv("BRAVE_API_KEY", keys.of_unused)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{keys.of_collector}")
    return keys


def refusals(key: str) -> list[Refusal | Raw | BreakOff]:
    """Whatever a model server can do with the key that it was sent."""
    repeated = f"Incorrect API key provided: {key}. You can find yours in your account."
    return [
        Refusal(401, json.dumps({"error": {"type": "authentication_error", "message": repeated}}).encode()),
        Refusal(401, json.dumps({"error": repeated}).encode()),
        Refusal(403, f"<html>{repeated}</html>".encode(), {"content-type": "text/html"}),
        Refusal(302, repeated.encode(), {"location": f"http://127.0.0.1:1/?key={key}"}),
        Refusal(500, repeated.encode()),
        Refusal(599, b""),
        Refusal(200, f'{{"oh": "{repeated}'.encode(), {"content-type": "application/json"}),
        Refusal(
            200, json.dumps({"error": {"message": repeated}}).encode(), {"content-type": "application/json"}
        ),
        Raw([f'event: error\ndata: {{"type": "error", "error": {{"message": "{repeated}"}}}}\n\n'.encode()]),
        Raw([f"data: {repeated}\n\n".encode()]),
        BreakOff([text("A beginning")], 2),
    ]


def asked_for_everything(http: httpx2.Client, headers: dict[str, str]) -> Iterator[str]:
    for path in (
        "/health",
        "/metrics",
        "/openapi.json",
        "/v1/models",
        "/v1/models/one",
        "/v1/usage",
        "/v1/files",
    ):
        answer = http.get(path, headers=headers)
        yield f"{answer.headers}{answer.text}"


def test_a_server_with_a_table(keys: Keys, model: Model, chat: ChatModel, tmp_path: Path) -> None:
    since = time.time() - 1
    state, key_file, models = tmp_path / "state", tmp_path / "key", tmp_path / "models.toml"
    key_file.write_text(keys.of_file + "\n")
    models.write_text(table(model.url, chat.url, f"http://127.0.0.1:{nowhere()}", key_file))
    state.mkdir()
    keys.ours = made(state, "someone", "--tenant", "a")
    said: list[str] = []
    with (
        Engine() as engine,
        Collector() as collector,
        serving(
            state,
            models=str(models),
            search=f"brave:{engine.url}",
            search_key=keys.of_search,
            otel_endpoint=collector.url,
            preload={},
            log_level="debug",
        ) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        ours = {"x-api-key": keys.ours}
        for name, key, server_of in (
            ("one", keys.of_environment, model),
            ("two", keys.of_file, chat),
        ):
            for stream in (False, True):
                for refusal in refusals(key):
                    server_of.play(refusal)
                    answer = http.post(
                        "/v1/messages", json=ask("Go.", model=name, stream=stream), headers=ours
                    )
                    said.append(f"{answer.headers}{answer.text}")
            assert key in str(server_of.headers), "the upstream is asked with its key"
        chat.play([text("From the fallback.")])
        assert "fallback" in http.post("/v1/messages", json=ask("Go.", model="gone"), headers=ours).text
        # Ours is not passed on, and what is no key of ours is refused without being repeated.
        model.play([text("Yes.")])
        assert http.post("/v1/messages", json=ask("Go.", model="passes"), headers=ours).status_code == 200
        assert keys.ours not in str(model.headers)
        for wrong in ({"x-api-key": keys.of_caller}, {"authorization": f"Bearer {keys.of_bearer}"}):
            answer = http.post("/v1/messages", json=ask("Go."), headers=wrong)
            assert answer.status_code == 401
            said.append(f"{answer.headers}{answer.text}")
        # The search engine repeats its key, too.
        engine.play(Answer(keys.of_search.encode(), 401), Answer(keys.of_search.encode()))
        model.play([search("a"), search("b", "s2")], [text("Enough.")])
        searched = http.post("/v1/messages", json=ask("Go.", model="one", tools=[SEARCH]), headers=ours)
        assert keys.of_search in str(engine.asked[0].headers)
        said.append(searched.text)
        said += asked_for_everything(http, ours)
        ran = http.post(
            "/v1/executions",
            json={"code": scan(keys, since), "timeout_seconds": 300},
            headers=ours,
            timeout=360,
        )
        # What the program has planted in its environment, its memory and a file, and nothing else.
        found = json.loads(ran.json()["stdout"])
        assert (all(found["planted"]), found["keys"]) == (True, 0), ran.text
        said.append(ran.text)
        request_id = ran.headers["request-id"]
        assert collector.of(request_id, 2)
        assert server.end() == 0
        spans = "".join(span.words for span in collector.spans) + str(collector.resources)
    assert len(collector.spans) > 50
    assert keys.in_text(server.log.read_text()) == []
    assert keys.in_text(spans) == []
    assert keys.in_text("".join(said)) == []
    # Nor does anything that is kept have one: of our own there is a hash.
    for path in state.rglob("*"):
        if path.is_file():
            assert keys.in_text(path.read_bytes().decode("latin-1")) == [], path.name


def test_a_caller_whose_key_is_passed_on_and_a_password_in_the_url(
    keys: Keys, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with_password = model.url.replace("http://", f"http://user:{keys.password}@")
    gone = f"http://user:{keys.password}@127.0.0.1:{nowhere()}"
    said: list[str] = []
    logs: list[Server] = []
    for url in (with_password, gone):
        with (
            serving(
                tmp_path / str(len(logs)),
                upstream=f"anthropic:{url}",
                search=f"searxng:{gone}",
                otel_endpoint=gone,
                preload={},
                log_level="debug",
            ) as server,
            httpx2.Client(base_url=server.url, timeout=60) as http,
        ):
            logs.append(server)
            for headers in ({"x-api-key": keys.of_caller}, {"authorization": f"Bearer {keys.of_bearer}"}):
                key = next(iter(headers.values())).removeprefix("Bearer ")
                for refusal in refusals(key)[:5]:
                    model.play(refusal)
                    said.append(http.post("/v1/messages", json=ask("Go."), headers=headers).text)
                model.play([search("a")], [text("Enough.")])
                said.append(http.post("/v1/messages", json=ask("Go.", tools=[SEARCH]), headers=headers).text)
                said += asked_for_everything(http, headers)
            assert keys.of_bearer in str(model.headers) or url == gone
    assert keys.in_text("".join(server.log.read_text() for server in logs)) == []
    assert keys.in_text("".join(said)) == []


def belljar(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLJAR_")}
    return subprocess.run(
        [sys.executable, "-c", "from belljar.cli import main; main()", *arguments],
        env=environment | {f"BELLJAR_{name.upper()}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def repeating(server: Model) -> Iterator[None]:
    """The model server refuses everything, and repeats the key that it was sent."""

    def refuse(path: str, body: object) -> Refusal:
        sent = server.headers[-1]
        key = sent.get("x-api-key") or sent.get("authorization", "").removeprefix("Bearer ")
        return Refusal(401, json.dumps({"error": {"message": f"no such key: {key}"}}).encode())

    server.plays = refuse
    try:
        yield
    finally:
        server.plays = None


def refused(models: Path) -> str:
    """What a command says of a table with which it does not start."""
    ended = CliRunner().invoke(main, ["models", "list", "--models", str(models)])
    assert ended.exit_code == 125, models.read_text()
    return ended.output


def test_commands(keys: Keys, model: Model, chat: ChatModel, tmp_path: Path) -> None:
    key_file, models = tmp_path / "key", tmp_path / "models.toml"
    key_file.write_text(keys.of_file)
    models.write_text(table(model.url, chat.url, f"http://127.0.0.1:{nowhere()}", key_file))
    said = []
    for arguments in (["list"], ["list", "--json"], ["check"], ["check", "--json", "one", "two", "gone"]):
        with repeating(model), repeating(chat):
            ended = belljar("models", *arguments, models=str(models), upstream_retries="0")
        assert "one" in ended.stdout
        said.append(ended.stdout + ended.stderr)
    assert said[-1].count("no such key: [the key]") == 3
    password = f"user:{keys.password}@"
    for settings in (
        {"upstream": keys.of_setting},
        {"upstream": f"{keys.of_setting}:http://127.0.0.1"},
        {"upstream": f"antropic:http://{password}127.0.0.1"},
        {"upstream": f"anthropic:http://{password}127.0.0.1:port"},
        {"upstream": f"openai:http://{password}:x"},
        {"search": keys.of_search},
        {"search": f"searxng:http://{password}127.0.0.1:port"},
        {"search": f"http://{password}127.0.0.1"},
        {"search": "brave", "search_key": f"{keys.of_search}\n"},
        {"otel_endpoint": f"{password}host"},
        {"otel_endpoint": f"http://{password}host:port"},
    ):
        ended = belljar("serve", **settings, port="0", state_dir=str(tmp_path / "none"), host="127.0.0.1")
        assert ended.returncode == 125, (settings, ended.stderr)
        assert ended.stderr.startswith("belljar: ") and "Traceback" not in ended.stderr, ended.stderr
        said.append(ended.stdout + ended.stderr)
    good = models.read_text()
    for wrong in (
        good.replace("env:FIRST_KEY", keys.of_setting),
        good.replace('key = "env:FIRST_KEY"', f'"{keys.of_setting}" = 1'),
        good.replace("http://", f"http://{password}"),
        good.replace("http://", f"http://{password}\u2100"),
        good.replace("http://127.0.0.1", f"http://{password}["),
        good.replace('kind = "openai"', f'kind = "{keys.of_setting}"'),
        good.replace('key = "env:FIRST_KEY"', f'key = "{keys.of_setting}'),
        good.replace('key = "env:FIRST_KEY"', f"key = {keys.of_setting}"),
        good.replace("env:FIRST_KEY", "env:NOT_SET"),
    ):
        models.write_text(wrong)
        said.append(refused(models))
    models.write_text(good)
    for content in (f"{keys.of_file}\n{keys.of_file}", f"{keys.of_file}\x00", "\n"):
        key_file.write_text(content)
        said.append(refused(models))
    key_file.write_bytes(keys.of_file.encode() + b"\xff")
    said.append(refused(models))
    doctor = belljar("doctor", "--json", upstream_api_key=keys.of_setting, search_key=keys.of_search)
    said.append(doctor.stdout + doctor.stderr)
    assert keys.in_text("".join(said)) == []
