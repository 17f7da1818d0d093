"""The server in the background: up, down, status, and what becomes of runs where it does not do as it should."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typed import BELLJAR, SMALL, Command, children

import belljar as package
from belljar import warm as warm_server

FOREVER = "print('begun', flush=True)\nopen('made.txt', 'w').write('so far')\nwhile True: pass"


def up(belljar: Command, *arguments: str, **more: str) -> dict[str, object]:
    seen = belljar("up", "--json", *arguments, **SMALL, **more)
    assert seen.returncode == 0, seen.stderr
    found: dict[str, object] = json.loads(seen.stdout)
    return found


def test_up_and_down(belljar: Command) -> None:
    assert belljar("status").returncode == 3
    assert belljar.json("down") == {"was_up": False, "pid": None}
    seen = belljar("up", **SMALL, BELLJAR_IDLE_MEMORY="0")
    assert (seen.returncode, seen.stdout) == (0, "")
    assert (
        "BELLJAR_IDLE_MEMORY is no setting, and has no effect: is BELLJAR_IDLE_MEMORY_SECONDS" in seen.stderr
    )
    assert "a server is up (pid" in seen.stderr
    again = belljar("up", **SMALL)
    assert again.returncode == 0
    assert "up already" in again.stderr
    found = belljar.json("status")
    assert (found["version"], found["url"], found["idle_minutes"]) == (package.__version__, None, None)
    assert found["health"]["sessions"]["max"] == 64
    assert [one["name"] for one in found["runtimes"]] == ["default"]
    assert found["memory_bytes"] > 20_000_000
    assert found["processes"] > 3
    assert isinstance(found["pid"], int)
    assert len(children(found["pid"])) == 1  # its keeper
    told = belljar("status").stdout
    assert f"pid {found['pid']}" in told
    assert "for this user only" in told
    place = belljar.state / "server"
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in [place, *place.iterdir()]}
    assert modes.pop("server") == "0o700"
    assert set(modes.values()) == {"0o600"}, modes
    assert set(modes) == {"api.sock", "runs.sock", "record", "lock", "log", "turn"}
    ended = belljar.json("down")
    assert ended == {"was_up": True, "pid": found["pid"]}
    assert belljar("status").returncode == 3
    assert "no server is up" in belljar("down").stderr


def test_what_a_killed_server_leaves_is_no_server(belljar: Command) -> None:
    both = [belljar.start("up", "--json", **SMALL) for _ in range(2)]
    told = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    assert told[0]["pid"] == told[1]["pid"]  # two at once are one
    assert sorted(one["was_up"] for one in told) == [False, True]
    running = belljar.start("run", "--timeout", "600", "-c", FOREVER)
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    os.kill(told[0]["pid"], signal.SIGKILL)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 125
    assert "the server has ended before the program has" in stderr
    while belljar("status").returncode == 0:
        time.sleep(0.05)
    assert "has ended without a word" in belljar("status").stderr
    seen = belljar("run", "-c", "print(1)")
    assert (seen.returncode, seen.stdout) == (0, "1\n")
    assert "ended without a word" in seen.stderr
    assert "keeper of its own" in seen.stderr
    forced = belljar("run", "--server", "-c", "print(1)")
    assert (forced.returncode, forced.stdout) == (125, "")
    assert belljar("down").returncode == 0
    assert up(belljar)["was_up"] is False
    assert belljar("run", "-c", "print(1)").stderr == ""


def test_one_state_directory_has_one_server(warm: Command) -> None:
    seen = warm("serve", "--port", "0", **SMALL)
    assert seen.returncode == 125
    assert "has the state directory" in seen.stderr
    assert "End it (`belljar down`)" in seen.stderr


def test_a_server_in_front_is_found_and_not_ended(belljar: Command) -> None:
    serving = belljar.start("serve", "--port", "0", **SMALL)
    try:
        assert serving.stdout is not None
        url = serving.stdout.readline().split()[-1]
        assert belljar.json("status")["url"] == url
        seen = belljar("run", "--server", "-c", "print(1)")
        assert (seen.returncode, seen.stdout, seen.stderr) == (0, "1\n", "")
        refused = belljar("down")
        assert refused.returncode == 125
        assert "belljar serve" in refused.stderr
        # So it is no advice.
        advice = f"`kill {serving.pid}`"
        told = belljar("up", **SMALL)
        assert (told.returncode, told.stderr.count(f"{advice} ends it")) == (0, 1)
        other = {"BELLJAR_TIMEOUT_SECONDS": "7", **SMALL}
        for arguments, words in (
            (["up"], f"(BELLJAR_TIMEOUT_SECONDS): {advice}, then `belljar up`"),
            (["run", "-c", "1"], f"(BELLJAR_TIMEOUT_SECONDS): {advice}, then `belljar up`"),
            (["serve", "--port", "0"], f"End it ({advice})"),
            (["chat", "hello"], f"{advice}, then belljar serve --upstream"),
        ):
            seen = belljar(*arguments, **other)
            assert words in seen.stderr
            assert "belljar down" not in seen.stderr
    finally:
        serving.terminate()
        serving.communicate(timeout=60)
    assert serving.returncode == 0


def test_settings_that_a_run_is_told_by(warm: Command) -> None:
    before = warm.log.count('"ran": true')
    seen = warm("run", "-c", "print(1)", BELLJAR_TIMEOUT_SECONDS="7")
    assert (seen.returncode, seen.stdout) == (0, "1\n")
    assert "other settings (BELLJAR_TIMEOUT_SECONDS)" in seen.stderr
    assert "belljar down" in seen.stderr
    assert warm.log.count('"ran": true') == before
    forced = warm("run", "-c", "print(1)", BELLJAR_TIMEOUT_SECONDS="7", BELLJAR_WARM="always")
    assert forced.returncode == 125
    assert warm("run", "-c", "print(1)", BELLJAR_TIMEOUT_SECONDS="7", BELLJAR_WARM="never").stderr == ""
    assert warm("run", "-c", "print(1)", BELLJAR_PROFILE="inline").stderr == ""
    assert warm.has_run(before + 1)
    other = warm("up", "--upstream", "openai:http://127.0.0.1:9", **SMALL)
    assert other.returncode == 125
    assert "other settings (upstream)" in other.stderr
    limits = warm("up", BELLJAR_MEMORY_BYTES=str(2**28), **SMALL)
    assert "other settings (BELLJAR_MEMORY_BYTES)" in limits.stderr


def test_what_options_ask_for_is_what_the_server_has_that_is_up(belljar: Command) -> None:
    up(belljar, "--port", "0", "--idle-minutes", "60", "--profile", "inline", "--require", "limited")
    url = belljar.json("status")["url"]
    port = url.rpartition(":")[2]
    same = ["--port", port, "--host", "localhost", "--idle-minutes", "60.0", "--profile", "inline"]
    for fitting in ([], ["--port", "0"], ["--host", "127.0.0.1"], ["--require", "reduced"], same):
        assert up(belljar, *fitting)["was_up"] is True
    for name, *other in (
        ["port", "--port", "1"],
        ["host", "--host", "127.0.0.2"],
        ["idle_minutes", "--idle-minutes", "61"],
        ["profile", "--profile", "auto"],
        ["require", "--require", "full"],
    ):
        seen = belljar("up", *other, **SMALL)
        assert (seen.returncode, seen.stdout) == (125, "")
        assert f"with other settings ({name}): `belljar down`" in seen.stderr
    assert belljar.json("status")["url"] == url


def test_a_port_is_not_there_because_it_is_asked_for(warm: Command) -> None:
    for option in (["--port", "0"], ["--port", "8650"], ["--host", "127.0.0.1"]):
        seen = warm("up", *option, **SMALL)
        assert seen.returncode == 125
        assert "other settings (port)" in seen.stderr
    assert "other settings (idle_minutes)" in warm("up", "--idle-minutes", "5", **SMALL).stderr
    assert warm("up", BELLJAR_PORT="8650", **SMALL).returncode == 0  # which asks for none, here


def test_another_version_is_told_and_not_used(warm: Command) -> None:
    before = warm.log.count('"ran": true')
    place = str(warm.state / "server")
    record = warm_server.read_record(place)
    assert record is not None
    warm_server.write_record(place, record | {"version": "0.0.9"})
    try:
        seen = warm("run", "-c", "print(1)")
        refused = warm("up", **SMALL)
    finally:
        warm_server.write_record(place, record)
    assert (seen.returncode, seen.stdout) == (0, "1\n")
    assert "version 0.0.9" in seen.stderr
    assert "belljar up" in seen.stderr
    assert warm.log.count('"ran": true') == before
    assert refused.returncode == 125
    assert "0.0.9" in refused.stderr


def test_a_server_that_does_not_come_up_says_why(belljar: Command) -> None:
    seen = belljar("up", BELLJAR_RUNTIME="/nowhere")
    assert seen.returncode == 125
    assert "there is no runtime at /nowhere" in seen.stderr
    assert belljar("status").returncode == 3
    wrong = belljar("up", BELLJAR_MEMORY_BYTES="lots")
    assert wrong.returncode == 125
    assert "BELLJAR_MEMORY_BYTES" in wrong.stderr
    model = belljar("up", "--upstream", "nonsense:x")
    assert model.returncode == 125
    assert "upstream: it has to be" in model.stderr


@pytest.mark.parametrize("left", [b"no database" * 1000, None], ids=["other", "truncated"])
def test_a_damaged_database_is_told_in_a_sentence(belljar: Command, left: bytes | None) -> None:
    assert belljar("keys", "create", "me").returncode == 0
    place = belljar.state / "belljar.sqlite3"
    place.write_bytes(left if left is not None else place.read_bytes()[: 5 * 4096])
    for command in ("keys list", "usage", "up", "serve --port 0"):
        seen = belljar(*command.split(), **SMALL)
        assert seen.returncode == 125, command
        (told,) = seen.stderr.splitlines()[-1:]
        assert told.startswith(f"belljar: {place}: "), command
        assert ".recover" in told
        assert "Traceback" not in seen.stderr


def test_a_server_that_dies_before_it_says_a_word_is_told(belljar: Command) -> None:
    starting = belljar.start("up", **SMALL)
    log = belljar.state / "server" / "log"
    while not log.exists() or not (found := children(starting.pid)):
        assert starting.poll() is None
    os.kill(found[0], signal.SIGKILL)
    _, stderr = starting.communicate(timeout=60)
    assert f"The server has ended before it was ready (-9). Its log says more: {log}" in stderr


def test_it_listens_on_a_port_where_it_is_told_to(belljar: Command) -> None:
    url = str(up(belljar, "--port", "0")["url"])
    seen = belljar("containers", "list", "--json", BELLJAR_URL=url)
    assert (seen.returncode, json.loads(seen.stdout)) == (0, [])
    # Keys are asked for at the port, and not of whoever owns the store.
    assert belljar("keys", "create", "somebody").returncode == 0
    time.sleep(0.6)
    refused = belljar("containers", "list", BELLJAR_URL=url)
    assert refused.returncode == 125
    assert "API key" in refused.stderr
    assert belljar.json("containers", "list") == []


def test_it_ends_when_it_is_not_used(belljar: Command) -> None:
    up(belljar, "--idle-minutes", "0.05")
    until = time.monotonic() + 60
    while (seen := belljar("status")).returncode == 0 and time.monotonic() < until:
        time.sleep(0.2)  # to look how it is, is no use
    assert (seen.returncode, "without a word" in seen.stderr) == (3, False)
    assert '"idle_seconds": 3.0' in belljar.log


def test_down_while_a_program_runs(tmp_path: Path) -> None:
    """In a state directory whose path is longer than that of a socket may be."""
    belljar = Command(tmp_path / ("x" * 120), tmp_path)
    up(belljar)
    running = belljar.start("run", "--timeout", "600", "-c", FOREVER)
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    assert belljar("down").returncode == 0
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 125
    assert "shutting down" in stderr


def test_a_server_that_hangs_is_told(warm: Command) -> None:
    pid = warm.json("status")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        seen = warm("run", "-c", "print(1)")
        assert seen.returncode == 125
        assert "does not answer" in seen.stderr
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_what_it_has_made(warm: Command, number: signal.Signals) -> None:
    running = warm.start("run", "--timeout", "600", "-c", FOREVER)
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    running.send_signal(number)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in stderr
    assert (warm.cwd / "made.txt").read_text() == "so far"


def test_a_second_signal_does_not_wait(warm: Command) -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FOREVER
    running = warm.start("run", "--timeout", "600", "-c", code)
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    running.send_signal(signal.SIGINT)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130


def test_a_reader_that_goes_away_ends_it_quietly(warm: Command) -> None:
    running = warm.start("run", "-c", "for i in range(10**6): print(i)")
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdout.readline() == "0\n"
    running.stdout.close()
    assert running.wait(60) == 128 + signal.SIGPIPE
    assert running.stderr.read() == ""


def test_a_full_disk_is_told(warm: Command) -> None:
    with open("/dev/full", "w") as full:
        seen = subprocess.run(
            [sys.executable, "-c", "from belljar.cli import main; main()", "run", "-c", "print(1)"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=warm.environment(),
        )
    assert seen.returncode == 125
    assert "the output cannot be written: No space left on device" in seen.stderr


def test_a_command_that_is_killed_takes_its_program_with_it(warm: Command) -> None:
    running = warm.start("run", "--timeout", "600", "-c", FOREVER)
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    assert warm.json("status")["health"]["sessions"]["live"] >= 1
    running.kill()
    running.communicate()
    until = time.monotonic() + 30
    while warm.json("status")["health"]["sessions"]["live"] and time.monotonic() < until:
        time.sleep(0.1)
    assert warm.json("status")["health"]["sessions"]["live"] == 0


def test_many_at_once(warm: Command) -> None:
    all_of_them = [warm.start("run", "-c", f"print({number})") for number in range(12)]
    for number, running in enumerate(all_of_them):
        stdout, stderr = running.communicate(timeout=60)
        assert (running.returncode, stdout, stderr) == (0, f"{number}\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
@pytest.mark.parametrize("name", [warm_server.RUNS, warm_server.API])
def test_nobody_else_is_served(warm: Command, name: str) -> None:
    """Not even where the directory has been opened to everybody."""
    place = warm.state / "server"
    for path in [*list(place.parents)[:-1], place, place / name]:
        path.chmod(0o777)
    code = (
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
        "s.settimeout(20)\ns.sendall(b'GET /health HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')\nprint(s.recv(1000))"
    )
    asked = ["/usr/bin/python3", "-c", code, str(place / name)]
    seen = subprocess.run(
        asked, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, cwd="/"
    )
    assert seen.stdout in ("b''\n", "") and "HTTP" not in seen.stdout, seen
    ours = subprocess.run(asked, capture_output=True, text=True)
    assert len(ours.stdout) > 5


def frames(*said: tuple[bytes, bytes]) -> bytes:
    return b"".join(warm_server.frame(kind, body) for kind, body in [*said, (warm_server.GO, b"")])


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        (b"c" + struct.pack(">I", 2**31) + b"x", b"too large"),
        (frames((warm_server.CODE, b"\xff")), b"no text"),
        (frames((warm_server.MEMORY_MIB, b"much")), b"limits.memory_bytes"),
        (frames((warm_server.MEMORY_MIB, b"1")), b"limits.memory_bytes"),
        (frames((warm_server.SECONDS, b"nan")), b"timeout_seconds"),
        (frames((warm_server.SECONDS, b"soon")), b"soon"),
        (frames((warm_server.FORMAT, b"gif")), b"formats"),
        (frames((warm_server.RUNTIME, b"nowhere")), b"nowhere"),
        (frames((warm_server.INPUT, b"../x")), b"--file"),
    ],
)
def test_what_no_command_says_is_refused(warm: Command, sent: bytes, word: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(warm.state / "server" / "runs.sock"))
        connection.sendall(sent)
        told = b""
        with contextlib.suppress(ConnectionResetError):  # not all was read of what was sent
            while piece := connection.recv(1000):
                told += piece
    assert told.startswith(warm_server.frame(warm_server.HERE) + warm_server.FAILED)
    assert word in told
    assert b"Internal" not in told


@pytest.mark.parametrize("way", ["--no-server", "--server"])
def test_standard_streams_that_are_closed(warm: Command, way: str) -> None:
    code = "print(1); raise SystemExit(3)"
    command = f"{BELLJAR} run {way} -c '{code}' <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], env=warm.environment(), timeout=60).returncode == 3
