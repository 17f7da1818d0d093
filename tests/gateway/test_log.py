"""The log: one id for all that belongs to a request, from the request to the guest, and no content unasked."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engines import SEARCH, Answer, Engine, search
from fakes import settings
from serving import Model, Refusal, Server, ask, code, serving, text
from structlog.testing import capture_logs

from belljar import link
from belljar.errors import KeeperLost, SessionLost, UpstreamError
from belljar.frames import Message
from belljar.gateway.log import LOG_BYTES, keep_short
from belljar.gateway.upstream import Caller
from belljar.gateway.upstream.opening import open_upstream
from belljar.logged import CONTENT_CHARS, REQUEST_ID, clipped, traceback_of, words_of

MARK = "qx7marker"
NEWER = [{"type": "code_execution_20250825", "name": "code_execution"}, SEARCH]
IDENTITY = "import os; print(os.environ.get('BELLJAR_REQUEST_ID'))"


def lines(server: Server) -> list[dict[str, Any]]:
    """Every line that is whole: each is JSON."""
    return [json.loads(line) for line in server.log.read_text().split("\n")[:-1]]


def line_of(server: Server, answer: httpx2.Response) -> dict[str, Any]:
    """The line of a request, which is written when its answer is out."""
    deadline = time.monotonic() + 30
    while True:
        for line in lines(server):
            if line["event"] == "request" and line["request_id"] == answer.headers["request-id"]:
                return line
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


def converse(server: Server, model: Model, engine: Engine) -> None:
    """A conversation in which everything that a user, a model or a program can say has a number behind MARK."""
    shot = f"print('{MARK}04'); open('{MARK}05.txt', 'w').write('{MARK}06'); raise ValueError('{MARK}07')"
    attached = {
        "type": "document",
        "title": f"{MARK}09.csv",
        "source": {"type": "text", "media_type": "text/plain", "data": f"{MARK}10,1\n"},
    }
    prompt = [{"role": "user", "content": [{"type": "text", "text": f"{MARK}01"}, attached]}]
    bash = {
        "type": "tool_use",
        "id": "b",
        "name": "bash_code_execution",
        "input": {"command": f"echo {MARK}11; cat {MARK}05.txt; exit 3"},
    }
    edit = {
        "type": "tool_use",
        "id": "e",
        "name": "text_editor_code_execution",
        "input": {"command": "create", "path": f"{MARK}12.txt", "file_text": f"{MARK}13"},
    }
    view = {
        "type": "tool_use",
        "id": "v",
        "name": "text_editor_code_execution",
        "input": {"command": "view", "path": f"{MARK}14-not-there"},
    }
    engine.play(Answer(f'{{"{MARK}15": '.encode()), Answer(b"", 500))
    with httpx2.Client(base_url=server.url, timeout=60) as http:
        model.play([text(f"{MARK}03"), code(shot)], [text(f"{MARK}08")])
        first = http.post("/v1/messages", json=ask(prompt, system=f"{MARK}02"))
        assert first.status_code == 200
        container = first.json()["container"]["id"]
        model.play([bash, edit, view], [search(f"{MARK}16"), search(f"{MARK}17", "s2")], [text("Enough.")])
        second = http.post("/v1/messages", json=ask(prompt, tools=NEWER, container=container, stream=True))
        assert f"{MARK}06" in second.text
        # What goes wrong quotes what it stumbled over, to the client.
        error = json.dumps({"error": {"type": f"{MARK}18", "message": f"no such {MARK}19"}}).encode()
        model.play(Refusal(400, error))
        refused = http.post("/v1/messages", json=ask(f"{MARK}20"))
        assert f"{MARK}19" in refused.text
        wrong = http.post("/v1/messages", json=ask("Go.", container=f"{MARK}21"))
        assert f"{MARK}21" in wrong.text
        for body in (f'{{"{MARK}22": ', json.dumps({"code": {MARK: 1}}), json.dumps({"code": f"{MARK}23 ("})):
            http.post("/v1/executions", content=body)
        file = {"name": f"{MARK}24/..", "data": base64.b64encode(f"{MARK}25".encode()).decode()}
        assert http.post("/v1/executions", json={"code": "1", "files": [file]}).status_code == 400
        env = {"code": f"import os; os.environ['{MARK}26']", "env": {f"{MARK}27": f"{MARK}28"}}
        assert http.post("/v1/executions", json=env | {"stdin": f"{MARK}29"}).status_code == 200
        upload = http.post("/v1/files", files={"file": (f"{MARK}30.txt", f"{MARK}31".encode())})
        assert upload.status_code == 200
        batch = "\n".join((json.dumps({"code": f"print('{MARK}32')", "custom_id": f"{MARK}33"}), f"{MARK}34"))
        assert http.post("/v1/executions/batch", content=batch).status_code == 200
        http.post("/v1/messages", json=ask("Go.", **{f"{MARK}35": 1, "metadata": f"{MARK}36"}))
        http.get("/v1/files", params={"ids[]": f"{MARK}37"})
        for method in ("PUT", "GET", "DELETE", "GET"):
            http.request(
                method, f"/v1/containers/{container}/files/{MARK}40/{MARK}41.txt", content=f"{MARK}42"
            )
        # One that writes behind the end of its run, and one that ends its interpreter.
        http.post("/v1/executions", json={"code": f"import os; os.write(3, b'{MARK}38' * 99)"})
        http.post(
            "/v1/executions", json={"code": f"import os; os.write(2, b'{MARK}39'); os.kill(os.getpid(), 9)"}
        )


def test_no_content_is_in_the_log(tmp_path: Path, model: Model, engine: Engine) -> None:
    with serving(
        tmp_path,
        upstream=f"anthropic:{model.url}",
        search=f"searxng:{engine.url}",
        preload={},
        log_level="debug",
        container_sleep_seconds=0.5,
    ) as server:
        converse(server, model, engine)
        assert server.end() == 0
    assert [line["code"] for line in lines(server) if line["event"] == "a search failed"] == [
        "unavailable"
    ] * 2
    assert MARK not in server.log.read_text()


def test_content_is_in_the_log_where_it_is_asked_for(tmp_path: Path, model: Model, engine: Engine) -> None:
    long = f"print('{MARK}40' + 'x' * {3 * CONTENT_CHARS} + '{MARK}41')"
    with serving(
        tmp_path,
        upstream=f"anthropic:{model.url}",
        search=f"searxng:{engine.url}",
        preload={},
        log_content=True,
    ) as server:
        converse(server, model, engine)
        httpx2.post(f"{server.url}/v1/executions", json={"code": long}, timeout=60)
    said = server.log.read_text()
    for number in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 20, 23, 26, 32, 40, 41):
        assert f"{MARK}{number:02}" in said, number
    texts = [value for line in lines(server) for value in line.values() if isinstance(value, str)]
    assert max(map(len, texts)) < CONTENT_CHARS + 100
    by_id = {line["request_id"] for line in lines(server) if MARK in json.dumps(line)}
    assert len(by_id) > 5
    assert all(request_id.startswith("req_") for request_id in by_id)


def test_one_id_from_the_request_to_the_guest(tmp_path: Path, model: Model) -> None:
    busy = Refusal(529, b'{"error": {"type": "overloaded_error", "message": "later"}}', {"retry-after": "0"})
    shell = {
        "type": "tool_use",
        "id": "b",
        "name": "bash_code_execution",
        "input": {"command": "echo shell $BELLJAR_REQUEST_ID"},
    }
    with (
        serving(
            tmp_path,
            upstream=f"anthropic:{model.url}",
            preload={},
            upstream_retries=2,
            max_sessions=1,
            queue_seconds=0.3,
        ) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        model.play(busy, busy, [shell], [text("Done.")])
        answer = http.post("/v1/messages", json=ask("Go.", tools=NEWER[:1]))
        request_id = answer.headers["request-id"]
        assert f"shell {request_id}\\n" in answer.text
        line_of(server, answer)
        own = [line for line in lines(server) if line.get("request_id") == request_id]
        assert [line["event"] for line in own] == ["the upstream is asked again"] * 2 + ["request"]
        assert [line["attempt"] for line in own[:2]] == [2, 3]
        container = answer.json()["container"]["id"]
        assert own[-1] | {"what": "POST /v1/messages", "status": 200, "tenant": "default"} == own[-1]
        assert (own[-1]["container"], own[-1]["turns"], own[-1]["executions"]) == (container, 2, 1)
        # The same session hears of each request, and a run's own environment does not speak for us.
        for env in ({}, {"BELLJAR_REQUEST_ID": "forged"}):
            body = {"code": IDENTITY, "container": container, "env": env}
            ran = http.post("/v1/executions", json=body)
            assert ran.json()["stdout"] == ran.headers["request-id"] + "\n" != request_id + "\n"
            line = line_of(server, ran)
            assert (line["container"], line["executions"], "turns" in line) == (container, 1, False)
        lines_of = "\n".join(json.dumps({"code": IDENTITY}) for _ in range(3))
        batch = http.post("/v1/executions/batch", content=lines_of)
        printed = {json.loads(line)["execution"]["stdout"] for line in batch.text.splitlines() if line}
        assert printed == {batch.headers["request-id"] + "\n"}
        assert line_of(server, batch)["executions"] == 3
    assert all("request_id" in line for line in lines(server) if line["event"] == "request")
    assert all("request_id" not in line for line in lines(server) if line["event"] == "stopping")


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
def test_a_log_that_goes_nowhere_is_no_reason_to_fail(tmp_path: Path, stderr: str) -> None:
    """The server is used and ended, and can say nothing of it."""
    environment = os.environ | {"BELLJAR_STATE_DIR": str(tmp_path), "BELLJAR_PRELOAD": "{}"}
    command = (
        f'exec "{sys.executable}" -c "from belljar.cli import main; main()" serve --port 0 --json {stderr}'
    )
    with subprocess.Popen(command, shell=True, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            container = httpx2.post(f"{url}/v1/containers", json={}).json()["id"]
            run = {"code": "open('kept', 'w').write('x')", "container": container}
            with httpx2.Client(base_url=url, timeout=60) as http:
                for _ in range(2):
                    assert http.post("/v1/executions", json=run).status_code == 200
                    assert http.get("/nothing").status_code == 404  # on a connection that is kept
        finally:
            process.terminate()
        assert process.wait(60) == 0
    assert [path.name for path in (tmp_path / "blobs").glob("archive_*")]


def test_a_long_log_begins_anew_under_those_who_write_there(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("ab", buffering=0) as ours, file.open("ab", buffering=0) as keepers:
        ours.write(b"first\n")
        keep_short(file)
        assert file.read_bytes() == b"first\n"
        os.truncate(file, LOG_BYTES)
        keepers.write(b"last\n")
        keep_short(file)
        ours.write(b"ours\n")
        keepers.write(b"keeper's\n")
    assert file.read_bytes() == b"ours\nkeeper's\n"
    old = (tmp_path / "log.old").read_bytes()
    assert old.startswith(b"first\n")
    assert old.endswith(b"\0last\n")


def test_a_log_is_kept_by_who_appends(tmp_path: Path) -> None:
    """Of a server in the background the log is opened so that it can be emptied."""
    environment = os.environ | {"BELLJAR_STATE_DIR": str(tmp_path), "BELLJAR_PRELOAD": "{}"}
    command = [sys.executable, "-c", "from belljar.cli import main; main()"]
    subprocess.run([*command, "up"], env=environment, check=True, timeout=120)
    try:
        file = tmp_path / "server" / "log"
        os.truncate(file, LOG_BYTES + 1)
        keep_short(file)
        subprocess.run([*command, "status"], env=environment, check=True, timeout=60)
        assert b"\0" not in file.read_bytes()
        assert b"/health" in file.read_bytes()
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, timeout=120)


def test_a_program_that_nobody_requested_has_no_id() -> None:
    program = "from belljar.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", program, "run", "-c", IDENTITY], capture_output=True, text=True, timeout=60
    )
    assert ran.stdout == "None\n"


@pytest.mark.anyio
async def test_the_keepers_journal_names_the_request(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with link.start(settings(tmp_path, preload={}, parked=0, require="reduced")) as keeper:
        token = REQUEST_ID.set("req_of_a_test")
        with pytest.raises(SessionLost, match="KeyError") as caught:
            # What no gateway sends: the keeper stumbles, and goes on.
            await keeper._ask(Message("open", {"session": MARK}, b"{}"))
        REQUEST_ID.reset(token)
        assert MARK not in str(caught.value)
        with pytest.raises(SessionLost, match="KeyError"):
            await keeper._ask(Message(f"{MARK[:3]}", {}))
    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (first["request_id"], first["process"], first["event"]) == ("req_of_a_test", "keeper", "open")
    assert first["exception"].endswith("KeyError")
    assert "supervisor.py" in first["exception"]
    assert MARK not in json.dumps(first)
    assert "request_id" not in second


@pytest.mark.anyio
async def test_each_retry_is_in_the_log(tmp_path: Path, model: Model) -> None:
    busy = Refusal(503, f"{MARK}".encode(), {"retry-after": "0"})
    model.play(busy, busy)
    chosen = settings(tmp_path, upstream=f"anthropic:{model.url}", upstream_retries=1)
    request = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Go."}]}
    async with open_upstream(chosen) as upstream:
        with capture_logs() as logs, pytest.raises(UpstreamError):
            async for _ in upstream.stream(request, Caller()):
                pass
    assert [(line["event"], line["status"], line["attempt"]) for line in logs] == [
        ("the upstream is asked again", 503, 2)
    ]


FAILS = """
import logging, sys
import anyio, structlog
from belljar.gateway import log
log.to_stderr("debug", with_content={content})
local = "qx7" + "marker-local"
def fails():
    inner = "qx7" + "marker-inner"
    try:
        {{}}["qx7" + "marker-key"]
    except KeyError as error:
        raise ExceptionGroup("qx7" + "marker-group", [FileNotFoundError(2, "gone", "qx7" + "marker-name"), error])
try:
    fails()
except Exception:
    structlog.get_logger().exception("it failed", known="known-word")
    logging.getLogger("asyncio").error("Task failed\\nfuture: <" + "qx7" + "marker-future>", exc_info=True)
    logging.getLogger("opentelemetry.x").error("qx7" + "marker-otel")
"""


def failed(tmp_path: Path, *, content: bool, on_terminal: bool) -> str:
    """What a process writes to standard error, whose log has an exception in it."""
    program = tmp_path / "fails.py"  # as code of ours, whose lines stand in a traceback, has no content in it
    program.write_text(FAILS.format(content=content))
    master, slave = os.openpty() if on_terminal else os.pipe()
    with open(slave, "wb") as stderr:
        assert subprocess.run([sys.executable, program], stderr=stderr, timeout=60).returncode == 0
    written = b""
    with open(master, "rb", buffering=0) as stream:
        try:
            while piece := stream.read(65536):
                written += piece
        except OSError:  # of a terminal that nobody has open any more
            pass
    return written.decode()


@pytest.mark.parametrize("on_terminal", [False, True])
def test_a_traceback_has_places_and_no_words(tmp_path: Path, on_terminal: bool) -> None:
    said = failed(tmp_path, content=False, on_terminal=on_terminal)
    quoted = [
        name
        for name in ("local", "inner", "key", "group", "name", "future", "otel")
        if f"{MARK}-{name}" in said
    ]
    assert quoted == []
    for part in (
        "known-word",
        "KeyError",
        "FileNotFoundError: gone",
        "ExceptionGroup",
        "fails.py",
        "Task failed",
    ):
        assert part in said
    with_words = failed(tmp_path, content=True, on_terminal=on_terminal)
    assert all(f"{MARK}-{name}" in with_words for name in ("key", "group", "name", "future"))
    assert f"{MARK}-local" not in with_words


def test_what_is_clipped_and_what_is_said() -> None:
    assert clipped("short") == "short"
    assert clipped("") == ""
    long = clipped("a" + "β" * 10**6 + "z")
    assert (long[0], long[-1], len(long) < CONTENT_CHARS + 60) == ("a", "z", True)
    assert words_of(KeeperLost("the keeper has ended")) == "KeeperLost: the keeper has ended"
    assert words_of(UpstreamError(MARK)) == "UpstreamError"
    assert words_of(OSError(MARK)) == "OSError"
    assert words_of(OSError(28, "No space left on device", MARK)) == "OSError: No space left on device"
    assert words_of(ValueError(MARK), with_content=True) == f"ValueError: {MARK}"
    one, two = ValueError(MARK), TypeError(MARK)
    one.__cause__, two.__cause__ = two, one
    assert traceback_of(one) == "TypeError\n\nValueError"
