"""How a hostile program's docstring is read, what counts as its success, and the bait."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from belljar.client import attack
from belljar.client.attack import Attack, Evidence, Seen
from belljar.client.bait import Bait
from belljar.records import MIB, Level, Limits, Status

SECRET = "bait-0123"


def parsed(
    tmp_path: Path, *fields: str, first: str = "Tries a door.", code: str = 'print("tried")'
) -> Attack:
    folder = tmp_path / "kernel"
    folder.mkdir(exist_ok=True)
    path = folder / "door.py"
    path.write_text("\n".join([f'"""{first}', "", *fields, '"""', code, ""]))
    return attack.parse(path)


# -- the form ----------------------------------------------------------------------------------------------


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    program = parsed(tmp_path, "Stopped by: seccomp, Landlock")
    assert (program.name, program.folder, program.says_what) == ("kernel/door", "kernel", "Tries a door.")
    assert program.stopped_by == ("seccomp", "Landlock")
    assert (program.succeeds_by, program.sessions, program.ends) == ("saying", 1, ("completed",))
    assert program.timeout_seconds == 20
    assert program.limits == Limits(
        memory_bytes=256 * MIB, pids=64, disk_bytes=64 * MIB, output_bytes=MIB, cpus=1
    )
    assert (program.not_at, program.weak_box) == (None, "")
    assert 'print("tried")' in program.code


def test_every_field_is_read(tmp_path: Path) -> None:
    program = parsed(
        tmp_path,
        "Stopped by: network namespace,",
        "  seccomp",
        "Succeeds by: outcome out_of_memory",
        "Sessions: 2",
        "Ends: raised, timed_out",
        "Timeout: 2.5",
        "Limits: memory_bytes=128 MiB, pids=32, disk_bytes=1 GiB, cpus=0.5",
        "Not at: limited - no cgroup counts it",
        "Weak box: root",
    )
    assert program.stopped_by == ("network namespace", "seccomp")
    assert (program.succeeds_by, program.sessions) == ("outcome out_of_memory", 2)
    assert (program.ends, program.timeout_seconds) == (("raised", "timed_out"), 2.5)
    assert (program.limits.memory_bytes, program.limits.pids) == (128 * MIB, 32)
    assert (program.limits.disk_bytes, program.limits.cpus) == (1024 * MIB, 0.5)
    assert (program.not_at, program.weak_box) == (("limited", "no cgroup counts it"), "root")


def test_a_hole_at_one_level_is_one_at_those_below(tmp_path: Path) -> None:
    program = parsed(tmp_path, "Stopped by: cgroup", "Not at: limited - no cgroup counts it")
    stopped = {level: program.is_stopped_at(level) for level in get_args(Level)}
    assert stopped == {"full": True, "limited": False, "reduced": False}
    always = replace(program, not_at=None)
    assert all(always.is_stopped_at(level) for level in get_args(Level))


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("Stopped: seccomp", "no field"),
        ("and some more text", "no field"),
        ("Stopped by: luck", "no layer: 'luck'"),
        ("Stopped by: ", "names no layer"),
        ("Succeeds by: magic", "no way to succeed"),
        ("Succeeds by: saying so", "no way to succeed"),
        ("Succeeds by: outcome", "no outcome"),
        ("Succeeds by: outcome fine", "no outcome: 'fine'"),
        ("Sessions: 3", "no number of sessions"),
        ("Sessions: two", "no number of sessions"),
        ("Ends: exploded", "no outcome: 'exploded'"),
        ("Timeout: 0", "between 0 and 60"),
        ("Timeout: 600", "between 0 and 60"),
        ("Timeout: soon", "could not convert"),
        ("Limits: memory=1 MiB", "no limit: 'memory'"),
        ("Limits: memory_bytes=lots", "could not convert"),
        ("Limits: pids=1", "out of range"),
        ("Not at: limited", "LEVEL - why"),
        ("Not at: home - why not", "LEVEL - why"),
        ("Weak box: strong", "no weak box"),
    ],
)
def test_what_the_form_does_not_know_is_refused(tmp_path: Path, field: str, why: str) -> None:
    fields = [field] if field.startswith("Stopped by") else ["Stopped by: seccomp", field]
    with pytest.raises(ValueError, match=r"^kernel/door\.py: .*" + why):
        parsed(tmp_path, *fields)


def test_a_field_that_is_there_twice_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"kernel/door\.py: .*twice"):
        parsed(tmp_path, "Stopped by: seccomp", "Stopped by: Landlock")
    with pytest.raises(ValueError, match=r"kernel/door\.py: which layers"):
        parsed(tmp_path)
    with pytest.raises(ValueError, match=r"kernel/door\.py: its docstring"):
        parsed(tmp_path, "Stopped by: seccomp", first="")
    with pytest.raises(ValueError, match=r"kernel/door\.py: "):
        parsed(tmp_path, "Stopped by: seccomp", code="def (")


# -- the judge ---------------------------------------------------------------------------------------------


def program(**changed: object) -> Attack:
    fields: dict[str, object] = {
        "name": "kernel/door",
        "path": Path("door.py"),
        "says_what": "Tries a door.",
        "stopped_by": ("seccomp",),
    }
    return Attack(**(fields | changed))  # type: ignore[arg-type]


def seen(stdout: str = "tried\n", status: str = "completed", **more: object) -> Seen:
    return Seen(status=status, stdout=stdout, **more)  # type: ignore[arg-type]


def evidence(*runs: Seen, **more: object) -> Evidence:
    return Evidence(secret=SECRET, seen=runs or (seen(),), **more)  # type: ignore[arg-type]


def test_a_wall_that_holds() -> None:
    verdict = attack.judge(program(), evidence())
    assert (verdict.how, verdict.unclear) == ("", "")


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ("saying", evidence(seen("ESCAPED: a door\ntried\n"))),
        ("saying", evidence(seen("ESCAPED"))),
        ("saying", evidence(seen(stderr="warning\nESCAPED: by stderr\n"))),
        ("saying", evidence(seen(), seen("ESCAPED: the other one\n"))),
        ("saying", evidence(seen("ESCAPED, and then it raised\n", "raised"))),
        ("outcome out_of_memory", evidence(seen(status="out_of_memory"))),
        ("outcome timed_out", evidence(seen(), seen(status="timed_out"))),
        ("surviving", evidence(has_survived=True)),
        ("repeating", evidence(seen("VALUE random 1f\ntried\n"), seen("VALUE random 1f\ntried\n"))),
        ("repeating", evidence(seen("VALUE a 1\n"), seen("VALUE a 2\n"), seen("VALUE a 1\n"))),
        ("harm", evidence(harmed=("the keeper has ended",))),
    ],
)
def test_each_way_to_succeed(way: str, found: Evidence) -> None:
    assert attack.succeeded(program(succeeds_by=way), found).startswith(f"{way}: ")


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ("saying", evidence(seen("not ESCAPED\n ESCAPED\ntried\n"))),
        ("saying", evidence(seen("VALUE 1\ntried\n"), seen("VALUE 1\ntried\n"))),
        ("outcome out_of_memory", evidence(seen("ESCAPED\n"), seen(status="raised"))),
        ("surviving", evidence(seen("ESCAPED\n"))),
        ("repeating", evidence(seen("VALUE a 1\nVALUE a 1\n"), seen("VALUE a 2\nVALUE b 1\n"))),
        ("harm", evidence(seen("ESCAPED\n"), has_survived=True)),
    ],
)
def test_what_is_no_success(way: str, found: Evidence) -> None:
    assert attack.succeeded(program(succeeds_by=way), found) == ""


@pytest.mark.parametrize("way", ["saying", "outcome lost", "surviving", "repeating", "harm"])
@pytest.mark.parametrize(
    "told",
    [
        seen(f"it is {SECRET}\n"),
        seen(stderr=f"KeyError: {SECRET}"),
        seen(returned=(b"", b"\x00" + SECRET.encode() + b"\xff")),
    ],
)
def test_the_secret_is_a_success_in_every_way(way: str, told: Seen) -> None:
    assert attack.succeeded(program(succeeds_by=way), evidence(seen(), told)).startswith("secret: ")


def test_harm_is_a_success_in_every_way_and_comes_after_its_own() -> None:
    found = evidence(seen("ESCAPED: first\n"), harmed=("bait",))
    assert attack.succeeded(program(), found).startswith("saying: ")
    assert attack.succeeded(program(succeeds_by="surviving"), found) == "harm: bait"


@pytest.mark.parametrize(
    ("changed", "found", "why"),
    [
        ({}, evidence(seen("")), "did not print 'tried'"),
        ({}, evidence(seen("tried\nand more\n")), "did not print 'tried'"),
        ({}, evidence(seen("he tried hard\n")), "did not print 'tried'"),
        ({}, evidence(seen(), seen("")), "did not print 'tried'"),
        ({}, evidence(seen(status="raised", stderr="NameError: x")), "ended as raised.*NameError"),
        ({}, evidence(seen(status="timed_out")), "ended as timed_out"),
        ({"ends": ("timed_out",)}, evidence(), "ended as completed, and not as timed_out"),
        ({}, Evidence(secret=SECRET, seen=()), "never ran"),
        ({"succeeds_by": "repeating"}, evidence(seen(), seen("VALUE 1\ntried\n")), "no VALUE"),
    ],
)
def test_what_proves_nothing(changed: dict[str, object], found: Evidence, why: str) -> None:
    verdict = attack.judge(program(**changed), found)
    assert verdict.how == ""
    assert re.search(why, verdict.unclear), verdict.unclear


def test_what_needs_no_last_word() -> None:
    cut = evidence(seen("many lines", is_whole=False))
    assert attack.judge(program(), cut).unclear == ""
    killed = evidence(seen("", "timed_out"))
    assert attack.judge(program(ends=("completed", "timed_out")), killed).unclear == ""


def test_a_success_is_never_called_unclear() -> None:
    verdict = attack.judge(program(), evidence(seen("ESCAPED\n", "crashed")))
    assert (verdict.how, verdict.unclear) == ("saying: ESCAPED", "")


def test_the_ways_cover_every_outcome() -> None:
    for status in get_args(Status):
        assert attack.succeeded(program(succeeds_by=f"outcome {status}"), evidence(seen(status=status)))


# -- the bait ----------------------------------------------------------------------------------------------


@pytest.fixture
def bait() -> Iterator[Bait]:
    with Bait() as bait:
        yield bait


def test_bait_that_nobody_touches_is_not_harmed(bait: Bait) -> None:
    told = json.loads(bait.told())
    assert Path(told["secret_file"]).read_text().strip() == bait.secret
    assert Path(told["secret_file"]).stat().st_mode & 0o777 == 0o444
    assert Path(told["open_file"]).stat().st_mode & 0o777 == 0o666
    assert Path(told["open_directory"]).stat().st_mode & 0o777 == 0o777
    assert told["uid"] == os.getuid()
    assert bait.secret not in bait.told()
    assert bait.harmed() == []


def test_who_connects_hears_the_secret_and_is_noted(bait: Bait) -> None:
    told = json.loads(bait.told())
    addresses: list[tuple[int, Any]] = [
        (socket.AF_UNIX, told["socket"]),
        (socket.AF_UNIX, "\0" + told["abstract_socket"]),
        *((socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port)) for host, port in told["tcp"]),
    ]
    assert len(addresses) >= 3
    for number, (family, address) in enumerate(addresses, 1):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(10)
            sock.connect(address)
            assert sock.makefile().read().strip() == bait.secret
        assert len(bait.harmed()) == number


def test_datagrams_are_noted(bait: Bait) -> None:
    for host, port in json.loads(bait.told())["udp"]:
        before = len(bait.harmed())
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (host, port))
        assert len(bait.harmed()) == before + 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: Path(told["open_file"]).write_text("mine"),
        lambda told: Path(told["open_file"]).unlink(),
        lambda told: Path(told["open_directory"], "mine").touch(),
        lambda told: Path(told["open_directory"]).rmdir(),
        lambda told: Path(told["socket"]).unlink(),
        lambda told: Path(told["secret_file"]).unlink(),
        lambda told: os.kill(told["pid"], signal.SIGSTOP),
        lambda told: os.kill(told["pid"], signal.SIGKILL),
    ],
)
def test_what_is_spoiled_is_noticed(bait: Bait, spoil: object) -> None:
    told = json.loads(bait.told())
    spoil(told)  # type: ignore[operator]
    deadline = time.monotonic() + 20
    while not bait.harmed() and time.monotonic() < deadline:
        time.sleep(0.001)  # a signal is taken when its process is next scheduled
    assert bait.harmed()
    if Path(f"/proc/{told['pid']}").exists():
        os.kill(told["pid"], signal.SIGKILL)


def test_nothing_is_left_of_it() -> None:
    with Bait() as bait:
        told = json.loads(bait.told())
    assert not Path(told["secret_file"]).parent.exists()
    assert not Path(f"/proc/{told['pid']}").exists()
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(ConnectionRefusedError):
        sock.connect("\0" + told["abstract_socket"])
