"""`belljar runtime`, on wheels in a folder: what it builds, says of modules, and leaves when it fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from belljar.builds import Runtimes
from belljar.interpreters import about

sys.path.append(str(Path(__file__).parents[1] / "sandbox"))

import wheels

ALL = sorted({name for name, _ in wheels.PACKAGES})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.make(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A state directory, and what was said of the runtime in it: all packages, all to be imported ahead."""
    state = tmp_path_factory.mktemp("state")
    document = wheels.build(
        state, folder, "all", ALL, "--preload", "bell_fine,bell_threads", "--preload", ",".join(ALL)
    )
    return state, document


def left_of(state: Path) -> list[str]:
    """What lies where runtimes are."""
    return sorted(path.name for path in (state / "runtimes").glob("*"))


def test_what_was_built(built: tuple[Path, dict[str, Any]], folder: Path) -> None:
    state, document = built
    found = Runtimes(state / "runtimes").find("all")
    assert document["python"] == found.facts.python == ".".join(map(str, sys.version_info[:3]))
    assert document["packages"].keys() == set(ALL)
    assert document["packages"]["bell_fine"] == "1.0"  # which bell_wants_one asks for
    assert document["programs"] == ["bell-fine"]
    assert set(found.facts.direct) == {name.replace("_", "-") for name in ALL}
    assert found.lock.count("--hash=sha256:") == len(ALL)
    assert str(folder) not in found.lock
    assert (found.directory / "requirements.txt").read_text().split() == ALL
    listed = json.loads(
        subprocess.run(
            wheels.command("list", "--json", "--state-dir", str(state)),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert listed == [document]


PROBLEMS = {
    "bell_fine": [],
    "bell_wants_one": [],
    "bell_prints": [],
    "bell_threads": [("threads", "watcher")],
    "bell_fails": [("fails", "ImportError: it wants a machine that is not this one")],
    "bell_exits": [("fails", "SystemExit: 3")],
    "bell_dies": [("fails", "")],
    "bell_forges": [("fails", "")],
    "bell_opens": [("opens", "bell_opens/__init__.py")],
    "bell_forks": [("forks", "os.fork was called")],
    "bell_leaves": [("forks", "a child process is left")],
    "bell_writes": [("writes", "bell_writes/cache")],
}


@pytest.mark.parametrize("module", ALL)
def test_what_a_modules_import_does_is_found(built: tuple[Path, dict[str, Any]], module: str) -> None:
    _, document = built
    found = [one for one in document["not_preloaded"] if one["module"] == module]
    assert [one["kind"] for one in found] == [kind for kind, _ in PROBLEMS[module]]
    for one, (_, words) in zip(found, PROBLEMS[module], strict=True):
        assert words in one["detail"]
        assert one["advice"]
    (report,) = [one for one in document["modules"] if one["module"] == module]
    assert report["milliseconds"] >= 0
    ahead = [name for modules in document["preload"].values() for name in modules]
    assert (module in ahead) == (not PROBLEMS[module])


def test_a_check_says_the_same_and_what_is_wrong(tmp_path: Path, folder: Path) -> None:
    wheels.build(
        tmp_path, folder, "one", ["bell_fine==1.0", "bell_threads"], "--preload", "bell_fine,bell_threads"
    )
    done = wheels.belljar_runtime(tmp_path, folder, "check", "one", "--json")
    (document,) = json.loads(done.stdout)
    assert done.returncode == 1  # it cannot import all ahead that it was to
    assert document["wrong"] == []
    assert [one["module"] for one in document["not_preloaded"]] == ["bell_threads"]
    assert [(tier["name"], tier["state"]) for tier in document["tiers"]] == [
        ("bare", "ready"),
        ("preload-1", "ready"),
    ]

    environment = Runtimes(tmp_path / "runtimes").find("one").environment
    (info,) = environment.glob("lib/*/site-packages/bell_fine-1.0.dist-info")
    info.rename(info.with_name("bell_fine-3.0.dist-info"))
    metadata = info.with_name("bell_fine-3.0.dist-info") / "METADATA"
    text = metadata.read_text().replace("Version: 1.0", "Version: 3.0")
    metadata.unlink()  # it may be the cache's own
    metadata.write_text(text)
    metadata.chmod(0o600)
    done = wheels.belljar_runtime(tmp_path, folder, "check", "one")
    assert done.returncode == 1
    assert "bell-fine is locked as 1.0, and 3.0 is installed" in done.stdout
    assert ("METADATA" in done.stdout and "chmod -R a+rX" in done.stdout) == (os.geteuid() == 0)

    (environment / "bin" / "python").unlink()
    done = wheels.belljar_runtime(tmp_path, folder, "check", "one")
    assert done.returncode == 1
    assert "does not run" in done.stdout


def test_a_rebuild_keeps_what_was_locked_until_it_is_told_otherwise(tmp_path: Path, folder: Path) -> None:
    few = wheels.make(tmp_path / "few")
    for newer in few.glob("bell_fine-2.0*"):
        newer.unlink()
    first = wheels.build(tmp_path, few, "one", ["bell_fine"])
    assert first["packages"]["bell_fine"] == "1.0"
    for arguments, version in (((), "1.0"), (("--upgrade",), "2.0")):
        done = wheels.belljar_runtime(tmp_path, folder, "rebuild", "one", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        again = json.loads(done.stdout)
        assert again["packages"]["bell_fine"] == version
        assert again["built_at"] > first["built_at"]
        assert len(list((tmp_path / "runtimes/one/builds").iterdir())) == 1  # nobody used the old one
    done = wheels.belljar_runtime(tmp_path, folder, "rebuild", "one", "--json", "--preload", "bell_fine")
    assert json.loads(done.stdout)["preload"]["preload-1"] == ["bell_fine"]


REFUSALS = {
    "a conflict": (["bell_wants_one", "bell_fine==2.0"], {}, ["No solution found", "bell-fine<2", "loosen"]),
    "no wheel": (["bell_source"], {}, ["bell-source", "each package needs a wheel"]),
    "no such package": (["bell_nowhere"], {}, ["bell-nowhere"]),
    "no requirement": (["a b c"], {}, ["Couldn't parse requirement"]),
    "a directory": (["-e ./own"], {}, ["made of wheels", "uv build --wheel"]),
    "a password": (["a @ https://b:c@d.invalid/a"], {}, ["line 1 has a user or password for d.invalid"]),
    "an include": (["-r other.txt"], {}, ["include another file (-r other.txt)"]),
    "another Python": (["bell_fine"], {"--python": "/nowhere/python"}, ["/nowhere/python", "uv says"]),
    "a name": (["bell_fine"], {"--preload": "not a name"}, ["'not a name' is no module's name"]),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_built_is_said_and_leaves_nothing(what: str, tmp_path: Path, folder: Path) -> None:
    requirements, options, words = REFUSALS[what]
    (tmp_path / "r.txt").write_text("\n".join(requirements))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "pyproject.toml").write_text('[project]\nname = "own"\nversion = "1"\n')
    given = [word for option in options.items() for word in option]
    done = wheels.belljar_runtime(tmp_path, folder, "create", "one", "-r", str(tmp_path / "r.txt"), *given)
    assert done.returncode == 125, done.stderr
    for word in words:
        assert word in done.stderr
    assert left_of(tmp_path) == []


def test_options_in_the_requirements_say_where_packages_are(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "r.txt").write_text(f"--find-links {folder}\n--no-index\nbell_fine\n")
    for arguments in (("create", "one", "-r", str(tmp_path / "r.txt")), ("rebuild", "one")):
        done = wheels.belljar_runtime(
            tmp_path, folder, *arguments, "--json", UV_NO_INDEX="0", UV_FIND_LINKS=""
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["packages"] == {"bell_fine": "2.0"}
    lock = Runtimes(tmp_path / "runtimes").find("one").lock
    assert lock.startswith(f"--find-links {folder}\n--no-index\nbell-fine==2.0")
    assert lock.count("--no-index") == 1


def test_an_index_that_does_not_answer(tmp_path: Path, folder: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        (tmp_path / "r.txt").write_text("bell_fine")
        done = wheels.belljar_runtime(
            tmp_path,
            folder,
            *("create", "one", "-r", str(tmp_path / "r.txt")),
            UV_OFFLINE="0",
            UV_NO_INDEX="0",
            UV_FIND_LINKS="",
            UV_DEFAULT_INDEX=index,
            UV_HTTP_RETRIES="0",
        )
    assert done.returncode == 125
    assert index in done.stderr
    assert "The package index cannot be reached" in done.stderr
    assert left_of(tmp_path) == []


def test_what_is_built_can_be_read_by_guests_whatever_the_umask(tmp_path: Path, folder: Path) -> None:
    state = tmp_path / "state"
    (tmp_path / "r.txt").write_text("bell_fine")
    before = os.umask(0o077)
    try:
        done = wheels.belljar_runtime(
            state,
            folder,
            "create",
            "one",
            "-r",
            str(tmp_path / "r.txt"),
            UV_CACHE_DIR=str(tmp_path / "cache"),
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert state.stat().st_mode & 0o777 == 0o700
    for path in (state / "runtimes").rglob("*"):
        if not path.is_symlink() and "builds" in path.parts:
            assert path.stat().st_mode & (0o005 if path.is_dir() else 0o004), path


def test_a_uv_that_is_not_there(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from belljar.client import uv
    from belljar.errors import InvalidRequest

    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    with pytest.raises(InvalidRequest, match="pip install uv"):
        uv.find()
    old = tmp_path / "bin" / "uv"
    old.write_text("#!/bin/sh\necho uv 0.4.1\n")
    old.chmod(0o755)
    with pytest.raises(InvalidRequest, match=r"uv is uv 0\.4\.1, which is too old"):
        uv.find()
    old.write_text("#!/bin/sh\necho uv 0.8.0\n")
    assert uv.find() == old


def test_names_that_are_taken_or_none(tmp_path: Path, folder: Path) -> None:
    wheels.build(tmp_path, folder, "one", [])
    (tmp_path / "r.txt").write_text("")
    for name, words in (
        ("one", "there is a runtime one already"),
        ("default", "BELLJAR_RUNTIME"),
        ("../x", "cannot be"),
    ):
        done = wheels.belljar_runtime(tmp_path, folder, "create", name, "-r", str(tmp_path / "r.txt"))
        assert done.returncode == 125
        assert words in done.stderr
    for arguments in (("rebuild", "two"), ("check", "two"), ("remove", "two")):
        done = wheels.belljar_runtime(tmp_path, folder, *arguments)
        assert done.returncode == 125
        assert "there is no runtime 'two'. Those that are there: default, one" in done.stderr
    assert wheels.belljar_runtime(tmp_path, folder, "remove", "one").returncode == 0
    assert left_of(tmp_path) == []


@contextmanager
def building(state: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A build that waits for an index which never answers, and so is in the middle of its work."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            connection, _ = server.accept()
            asked.set()
            with connection:
                connection.recv(65536)
                over.wait(60)

        over = threading.Event()
        thread = threading.Thread(target=listen)
        thread.start()
        (state / "r.txt").write_text("bell_fine")
        process = subprocess.Popen(
            wheels.command("create", "one", "-r", str(state / "r.txt"), "--state-dir", str(state)),
            env=wheels.environment(
                folder,
                UV_OFFLINE="0",
                UV_NO_INDEX="0",
                UV_FIND_LINKS="",
                UV_DEFAULT_INDEX=f"http://127.0.0.1:{server.getsockname()[1]}/simple",
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert asked.wait(60)
            yield process
        finally:
            over.set()
            process.kill()
            process.communicate()
            thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(number: signal.Signals, tmp_path: Path, folder: Path) -> None:
    with building(tmp_path, folder) as process:
        assert left_of(tmp_path) == [".one.lock", "one"]
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert "interrupted" in said
    assert left_of(tmp_path) == []


def test_two_do_not_build_the_same_at_once_and_what_a_killed_one_left_goes(
    tmp_path: Path, folder: Path
) -> None:
    with building(tmp_path, folder) as process:
        done = wheels.belljar_runtime(tmp_path, folder, "create", "one", "-r", str(tmp_path / "r.txt"))
        assert done.returncode == 125
        assert f"process {process.pid} (create, since " in done.stderr
        process.kill()
        process.wait()
        assert left_of(tmp_path) == [".one.lock", "one"]
        document = wheels.build(tmp_path, folder, "one", ["bell_fine"])
    assert document["packages"] == {"bell_fine": "2.0"}
    assert left_of(tmp_path) == ["one"]
    assert len(list((tmp_path / "runtimes/one/builds").iterdir())) == 1


def other_pythons() -> list[str]:
    """Interpreters of other versions, where this machine has some, and our own: each can have a runtime."""
    own = getattr(sys, "_base_executable", sys.executable)
    found = {".".join(map(str, sys.version_info[:2])): own}
    places = [Path(own).parents[2] / name / "bin" for name in os.listdir(Path(own).parents[2])]
    for folder in [*places, *map(Path, os.get_exec_path()), Path("/usr/bin")]:
        for minor in range(11, 16):
            python = folder / f"python3.{minor}"
            if f"3.{minor}" in found or not os.access(python, os.X_OK):
                continue
            try:
                if not about(python).is_old:
                    found[f"3.{minor}"] = str(python)
            except (OSError, ValueError, subprocess.SubprocessError):
                continue  # a shim with nothing behind it
    return list(found.values())


@pytest.mark.parametrize("python", other_pythons())
def test_every_python_of_this_machine_will_do(python: str, tmp_path: Path, folder: Path) -> None:
    document = wheels.build(
        tmp_path,
        folder,
        "one",
        ["bell_fine", "bell_threads"],
        "--python",
        python,
        "--preload",
        "bell_fine,bell_threads",
    )
    assert document["python"] == about(Path(python)).version
    assert document["preload"]["preload-1"] == ["bell_fine"]
    code = "import bell_fine, bell_threads, platform; print(platform.python_version(), bell_fine.ANSWER)"
    ran = subprocess.run(
        [sys.executable, "-c", "from belljar.cli import main; main()", "run", "--runtime", "one", "-c", code],
        env=wheels.environment(folder, BELLJAR_STATE_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.stdout == f"{document['python']} fine two\n", ran.stderr
