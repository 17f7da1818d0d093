"""`belljar run` by a server that is warm, and by a keeper of its own: nobody can tell which it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typed import Command

from belljar import quick, warm
from belljar.settings import Settings


@dataclass(frozen=True)
class Case:
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    stdin: str = ""
    is_warm: bool = True
    """Whether the server runs code for it."""


CHART = "import matplotlib.pyplot as plt; plt.plot([1, 2, 3]); plt.title('a')"
NAMES = r"""
for name in (b"new\nline", b"\xff", b"-rf", b"..hidden", b"a\\b", b"\x1b[31m", b".bashrc", b"C:\\x", "ελλ".encode()):
    open(b"/files/work/" + name, "wb").write(name)
"""
SIZES = "import os; print({n: (os.path.getsize(n), open(n, 'rb').read()[-2:]) for n in sorted(os.listdir())})"
ARGV = b"import sys; print(ascii(sys.argv))"
CASES = {
    "prints": Case(["-c", "print(1)"]),
    "every script": Case(["-c", "print('héllo, мир, 世界, שלום', '\\x1b[31mred\\x1b[0m')"]),
    "displays": Case(
        ["-c", "display('two')\nfrom IPython.display import Markdown\ndisplay(Markdown('*a*'))\n3"]
    ),
    "raises": Case(["-c", "print('before')\n1 / 0"]),
    "no Python": Case(["-c", "def"]),
    "exits": Case(["-c", "raise SystemExit(3)"]),
    "ends its interpreter": Case(["-c", "import os; os._exit(137)"]),
    "is killed": Case(["-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]),
    "takes too long": Case(["--timeout", "1", "-c", "print('begun', flush=True)\nwhile True: pass"]),
    "takes too much memory": Case(["--memory=64", "-c", "x = []\nwhile True: x.append(b'x' * 10**6)"]),
    "prints too much": Case(["-c", "print('x' * 3_000_000)"]),
    "prints much and wants it": Case(["--max-output", "4", "-c", "print('x' * 3_000_000)"]),
    "a limit of output that is none": Case(["--max-output", "0640", "-c", "1"], is_warm=False),
    "raises in a file": Case(["my program.py"], {"my program.py": b"def f():\n    1 / 0\nf()\n"}),
    "no Python in a file": Case(["program.py"], {"program.py": b"def"}),
    "arguments": Case(["program.py", "a b", "-", "--", "--timeout", "-c"], {"program.py": ARGV}),
    "arguments of code": Case(["-c", ARGV.decode(), "\u0444\udcff"]),
    "arguments of the program by standard input": Case(["-", "x"], stdin=ARGV.decode()),
    "looks for a module that is not there": Case(["-c", "import requests"]),
    "looks for a file that lies here": Case(["-c", "open('sub/a.csv')"], {"sub/a.csv": b""}),
    "a file": Case(["program.py"], {"program.py": "print('é')\n".encode()}),
    "a file in another encoding": Case(
        ["program.py"], {"program.py": b"# -*- coding: latin-1 -*-\nprint('\xe9')\n"}
    ),
    "a file with a byte order mark": Case(
        ["program.py"], {"program.py": b"\xef\xbb\xbfprint('a')\r\nprint('b')\r\n"}
    ),
    "the program by standard input": Case(["-"], stdin="print(__name__)"),
    "standard input": Case(["--stdin", "-c", "print(input()[::-1], input())"], stdin="abcé\nsecond\n"),
    "a standard input that is too large": Case(["--stdin", "-c", "1"], stdin="x" * 70_000_000, is_warm=False),
    "files": Case(
        ["-f", "in put.csv", "--file", "sub/-other.txt", "-c", "import os; print(sorted(os.listdir()))"],
        {"in put.csv": b"a,b\n", "sub/-other.txt": b""},
    ),
    "large files": Case(
        ["-f", "a.bin", "-f", "b.txt", "-f", "c.bin", "-f", "d.bin", "-c", SIZES],
        {"a.bin": b"a" * 3_000_001, "b.txt": b"b", "c.bin": b"c" * 1_048_577, "d.bin": b""},
    ),
    "makes files": Case(
        [
            "-o",
            "made",
            "-c",
            "import os\nopen('out.txt', 'w').write('made')\nos.makedirs('d/e')\nopen('d/e/f', 'w')",
        ]
    ),
    "makes files of odd names": Case(["-o", "./out/", "-c", NAMES]),
    "makes many files": Case(
        ["-o", "made", "-c", "for n in range(150): open(f'{n:04}.txt', 'w').write(str(n))"]
    ),
    "makes a large file": Case(["-c", "open('large', 'wb').write(b'x' * 20_000_000)"]),
    "changes a file": Case(
        ["-f", "a.txt", "-o", "made", "-c", "open('a.txt', 'a').write('!')"], {"a.txt": b"hi"}
    ),
    "deletes a file": Case(
        ["-f", "a.txt", "--json", "-c", "import os; os.remove('a.txt')"], {"a.txt": b"hi"}
    ),
    "draws": Case(["-o", "made", "-c", CHART]),
    "draws in other formats": Case(
        ["-o", "made", "--chart-format", "svg", "--chart-format=pdf", "--chart-dpi", "50", "-c", CHART]
    ),
    "a document": Case(["--json", "-c", "print('out')\nopen('a.csv', 'w').write('x,y\\n')\n6 * 7"]),
    "a document of a chart": Case(["--json", "-o", "made", "-c", CHART]),
    "imports its own module": Case(
        ["-f", "mine.py", "-c", "import mine"], {"mine.py": b"import numpy\nprint('mine')"}
    ),
    "no such runtime": Case(["--runtime", "nowhere", "-c", "1"], is_warm=False),
    "no such file": Case(["-f", "missing.csv", "-c", "1"], is_warm=False),
    "two files of one name": Case(
        ["-f", "a", "-f", "sub/a", "-c", "1"], {"a": b"", "sub/a": b""}, is_warm=False
    ),
    "no program": Case([], is_warm=False),
    "no directory": Case(["-o", "/dev/null/x", "-c", "1"], is_warm=False),
    "a limit that is none": Case(["--timeout", "nan", "-c", "1"], is_warm=False),
}
_VARYING = ("id", "laps", "usage", "isolation")


def told(text: str) -> str:
    """Without what is another each time: the ids of charts, and what memory was used."""
    text = re.sub(r"chart_[0-9a-f]+_\d+", "chart_", text)
    return re.sub(r"after [\d.]+ s|at least [\d.]+ MiB|(?:used|peak) [\d.]+ MiB", "so much", text)


@pytest.mark.parametrize("name", CASES)
def test_both_ways_are_the_same(warm: Command, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    before = warm.log.count('"ran": true')
    with ThreadPoolExecutor() as threads:
        own, warmed = threads.map(lambda way: ran(warm, tmp_path / way, case, name, way), ("own", "warm"))
    assert warm.has_run(before + case.is_warm)  # once, and not by the one that has a keeper of its own
    assert own == warmed


PROGRAMS = {
    "UTF-8": ("print(ascii('é'))".encode(), "'\\xe9'\n"),
    "a byte order mark": (b"\xef\xbb\xbfprint(1)\r\nprint(2)\r\n", "1\n2\n"),
    "declared": (b"#!/usr/bin/python\n# coding: latin-1\nprint(ascii('\xe9'))\n", "'\\xe9'\n"),
    "undeclared": (b"print(ascii('\xe9'))\n", ""),
    "unknown": (b"# coding: klingon\nprint(1)\n", ""),
    "no encoding of text": (b"# coding: hex\nprint(1)\n", ""),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("way", ["--server", "--no-server"])
def test_a_program_is_read_alike_from_wherever_it_comes(warm: Command, name: str, way: str) -> None:
    body, printed = PROGRAMS[name]
    (warm.cwd / "program.py").write_bytes(body)
    by_file = warm("run", way, "program.py")
    by_stdin = warm("run", way, "-", stdin=body.decode("utf-8", "surrogateescape"), PYTHONIOENCODING="ascii")
    assert by_file.stdout == by_stdin.stdout == printed
    assert by_file.returncode == by_stdin.returncode == (0 if printed else 125)
    if printed:
        assert by_file.stderr == by_stdin.stderr == ""
    else:
        assert by_stdin.stderr.startswith("belljar: standard input cannot be read: ")
        assert by_file.stderr == by_stdin.stderr.replace("standard input", "program.py")


@pytest.mark.parametrize("way", ["--server", "--no-server"])
def test_standard_input_comes_byte_for_byte(warm: Command, way: str) -> None:
    code = "import sys; print(sys.stdin.buffer.read().hex())"
    given = b"a\xff\r\n\xed\xb3\xbf\0\xc3\xa9" + bytes(range(256))
    seen = warm("run", way, "--stdin", "-c", code, stdin=given.decode("utf-8", "surrogateescape"))
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, f"{given.hex()}\n", "")


def test_a_program_has_its_name_and_its_arguments(warm: Command) -> None:
    (warm.cwd / "program.py").write_bytes(ARGV + b"\n1 / 0\n")
    seen = warm("run", "program.py", "5", "--", "--n", "-5")
    assert seen.stdout == "['program.py', '5', '--n', '-5']\n"
    assert 'File "program.py", line 2, in <module>' in seen.stderr
    assert warm("run", "-c", ARGV.decode(), "x").stdout == "['-c', 'x']\n"
    misled = warm("run", "program.py", "--n", "5")
    assert misled.returncode == 125
    assert misled.stderr.endswith("What is for the program comes after `--`.\n")


def test_what_is_left_out_of_the_output_is_told(warm: Command) -> None:
    code = "import sys\nprint('x' * 3_000_000)\nprint('y', file=sys.stderr)"
    seen = warm("run", "-c", code)
    assert (seen.returncode, seen.stderr) == (
        0,
        "y\nbelljar: the middle of stdout was left out: 1 MiB are kept (--max-output MIB)\n",
    )
    seen = warm("run", "--max-output=3", "-c", code)
    assert (len(seen.stdout), seen.stderr) == (3_000_001, "y\n")
    seen = warm("run", "--timeout", "1", "-c", f"{code}\nsys.stdout.flush()\nwhile True: pass")
    assert seen.returncode == 124
    assert "the middle of stdout was left out" in seen.stderr


def test_a_file_that_was_not_put_there_is_named(warm: Command) -> None:
    (warm.cwd / "sub").mkdir()
    for name in ("sales.csv", "sub/sales.csv"):
        (warm.cwd / name).write_text("a,b\n")
        seen = warm("run", "-c", f"import pandas; pandas.read_csv('{name}')")
        assert seen.stderr.splitlines()[-1].startswith(
            f"belljar: {name} is here, and not in the jail: -f {name} puts"
        )
    seen = warm("run", "-f", "sub/sales.csv", "-c", "open('sub/sales.csv')")
    assert seen.stderr.endswith("belljar: sub/sales.csv lies in the jail as sales.csv\n")
    for name in (".netrc", "a;b.csv"):
        (warm.cwd / name).write_text("")
    for name in ("missing.csv", ".netrc", "/etc/passwd", "sub/../sales.csv", "a;b.csv", "made.csv"):
        said = f"FileNotFoundError: [Errno 2] No such file or directory: '{name}'"
        seen = warm("run", "-c", f"open('made.csv', 'w').close()\nraise SystemExit({said!r})")
        assert said in seen.stderr
        assert "is here" not in seen.stderr
        (warm.cwd / "made.csv").unlink()


def test_a_module_that_was_not_put_there_is_named(warm: Command) -> None:
    (warm.cwd / "sub/pkg").mkdir(parents=True)
    for name in ("helpers.py", "sub/helpers.py", "sub/pkg/__init__.py"):
        (warm.cwd / name).write_text("one = 1\n")
    (warm.cwd / "sub/prog.py").write_text("from helpers import one\nimport pkg.more\n")
    for arguments, path in (
        (["-c", "import helpers.more"], "helpers.py"),
        (["sub/prog.py"], "sub/helpers.py"),
    ):
        seen = warm("run", *arguments)
        assert seen.stderr.endswith(
            f"\nbelljar: {path} is here, and not in the jail: -f {path} puts it there\n"
        )
    seen = warm("run", "-f", "sub/helpers.py", "sub/prog.py")
    assert "\nbelljar: sub/pkg is a package here, and -f puts single files into the jail" in seen.stderr
    with zipfile.ZipFile(warm.cwd / "pkg.zip", "w") as archive:
        archive.write(warm.cwd / "sub/pkg/__init__.py", "pkg/__init__.py")
    code = "import sys; sys.path.insert(0, 'pkg.zip')\nimport pkg; print(pkg.one)"
    assert warm("run", "-f", "pkg.zip", "-c", code).stdout == "1\n"
    (warm.cwd / "a b.py").write_text("")
    for name in ("missing", "a b", "../sub/helpers", "made"):
        said = f"ModuleNotFoundError: No module named '{name}'"
        seen = warm("run", "-c", f"open('made.py', 'w').close()\nraise SystemExit({said!r})")
        assert said in seen.stderr
        assert "is here" not in seen.stderr
        assert (
            "\nbelljar: missing is not installed in this runtime: `belljar runtime create " in seen.stderr
        ) == (name == "missing")
        (warm.cwd / "made.py").unlink()


def ran(warm: Command, place: Path, case: Case, name: str, way: str) -> tuple[object, ...]:
    """All that can be seen of a case, in a directory of its own."""
    place.mkdir()
    for path, body in case.files.items():
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).write_bytes(body)
    arguments = ["run", *(["--no-server"] if way == "own" else []), *case.arguments]
    ended = warm(*arguments, stdin=case.stdin, cwd=place)
    stdout = told(ended.stdout)
    if "--json" in case.arguments:
        document = json.loads(stdout)
        for key in _VARYING:
            document.pop(key)
        stdout = json.dumps(document)
    # Whether Python is told of it before the kernel kills is a matter of chance.
    stderr = ended.stderr.splitlines()[-1:] if "memory" in name else told(ended.stderr)
    # A drawing says when it was made.
    files = {
        str(path.relative_to(place)): b"" if path.suffix in (".svg", ".pdf") else path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }
    return ended.returncode, stdout, stderr, files


_IMPORTS = """
import os, sys

def end(code):
    print(sorted(set(sys.modules) - before), flush=True)
    at_once(code)

sys.argv[1:] = ["run", "-c", ""]
at_once, os._exit = os._exit, end
before = set(sys.modules)
from belljar.cli import main; main()
"""


def test_the_shortest_way_imports_next_to_nothing(warm: Command) -> None:
    """Where it grows, `belljar run` does not take as long as Python any more."""

    seen = subprocess.run(
        [sys.executable, "-c", _IMPORTS], capture_output=True, text=True, env=warm.environment()
    )
    assert seen.stdout.strip() == str(
        ["__future__", "_socket", "belljar", "belljar.cli", "belljar.exits", "belljar.quick", "belljar.warm"]
    ), seen.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"BELLJAR_STATE_DIR": "/a b"},
        {"belljar_state_dir": "relative"},
        {"XDG_DATA_HOME": "/data"},
        {"XDG_DATA_HOME": " "},
        {"HOME": "/home/else"},
    ],
)
def test_the_state_directory_is_that_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name in ("BELLJAR_STATE_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert warm.state_dir(os.environ) == str(Settings().state_dir)


def test_settings_of_runs_are_settings() -> None:
    assert {name.removeprefix("BELLJAR_").lower() for name in warm.OF_RUNS} <= set(Settings.model_fields)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c1"],
        ["-c"],
        ["--timeout", "1e3", "-c", "1"],
        ["--timeout", "-1", "-c", "1"],
        ["--memory", "1", "-c", "1"],
        ["--memory", "²56", "-c", "1"],
        ["--chart-format", "gif", "-c", "1"],
        ["--chart-dpi", "5", "-c", "1"],
        ["--help"],
        ["-", "--stdin"],
    ],
)
def test_what_the_shortest_way_leaves_to_the_whole_command(arguments: list[str]) -> None:
    assert quick.parsed(arguments) is None


def test_frames_come_whole_however_they_arrive() -> None:
    sent = b"".join(warm.frame(kind, body) for kind, body in [(b"a", b""), (b"b", b"x" * 300), (b"c", b"\0")])
    for step in (1, 2, 7, len(sent)):
        frames = warm.Frames()
        found = [one for at in range(0, len(sent), step) for one in frames.feed(sent[at : at + step])]
        assert found == [(b"a", b""), (b"b", b"x" * 300), (b"c", b"\0")]
    with pytest.raises(ValueError, match="are allowed"):
        warm.Frames(100).feed(warm.frame(b"a", b"x" * 101))
