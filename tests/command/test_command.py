"""The command as a person types it."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import re
import select
import shlex
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from typed import BELLJAR, Command, children

from belljar.client import shell_tools


@pytest.fixture
def belljar(tmp_path: Path) -> Command:
    """In the test's directory. No server is left there that would have to be ended."""
    return Command(tmp_path / ".state", tmp_path)


def test_a_program_from_a_file(belljar: Command, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys\nprint('out')\nprint('err', file=sys.stderr)\n")
    seen = belljar("run", "program.py")
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, "out\n", "err\n")


def test_a_program_from_standard_input_and_from_the_command_line(belljar: Command) -> None:
    assert belljar("run", "-", stdin="print(1 + 1)").stdout == "2\n"
    assert belljar("run", "-c", "print(1 + 1)").stdout == "2\n"


def test_what_is_displayed_is_printed(belljar: Command) -> None:
    code = "print(1)\ndisplay('two')\nfrom IPython.display import Markdown\ndisplay(Markdown('*three*'))\n'no value'"
    assert belljar("run", "-c", code).stdout == "1\n'two'\n*three*\n"


def test_standard_input_for_the_program(belljar: Command) -> None:
    assert belljar("run", "--stdin", "-c", "print(input()[::-1])", stdin="abc\n").stdout == "cba\n"
    seen = belljar("run", "--stdin", "-", stdin="print(1)")
    assert seen.returncode == 125


@pytest.mark.parametrize(
    ("code", "return_code", "stderr"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import os; os._exit(137)", 137, ""),
        ("import os; os._exit(125)", 125, ""),
    ],
)
def test_the_exit_code_is_the_programs(belljar: Command, code: str, return_code: int, stderr: str) -> None:
    seen = belljar("run", "-c", code)
    assert (seen.returncode, seen.stderr) == (return_code, stderr)


def test_an_exception_looks_as_python_shows_it(belljar: Command) -> None:
    seen = belljar("run", "-c", "print('before')\n1 / 0")
    assert (seen.returncode, seen.stdout) == (1, "before\n")
    assert seen.stderr.startswith("Traceback (most recent call last):\n")
    assert seen.stderr.endswith("\nZeroDivisionError: division by zero\n")


def test_limits(belljar: Command) -> None:
    seen = belljar("run", "--timeout", "1", "-c", "while True: pass")
    assert seen.returncode == 124
    assert "belljar: The run was stopped after 1 s" in seen.stderr
    seen = belljar("run", "--memory", "64", "-c", "x = b'x' * 10**9")
    assert seen.returncode in (1, 137)  # by level: MemoryError, or the kernel's kill
    assert (
        "MemoryError" in seen.stderr
        or "belljar: The run needed more than the session's 64 MiB" in seen.stderr
    )


def test_files_in_and_out(belljar: Command, tmp_path: Path) -> None:
    (tmp_path / "in put.csv").write_text("a,b\n")
    (tmp_path / "other.txt").write_text("x")
    code = "import os; print(sorted(os.listdir())); open('out.txt', 'w').write('made'); os.mkdir('d'); open('d/e', 'w')"
    seen = belljar("run", "-f", "in put.csv", "-f", "other.txt", "-o", "results", "-c", code)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout == "['in put.csv', 'other.txt']\n"
    made = {str(path.relative_to(tmp_path)) for path in (tmp_path / "results").rglob("*") if path.is_file()}
    assert made == {"results/out.txt", "results/d/e"}
    assert (tmp_path / "results" / "out.txt").read_text() == "made"
    assert "belljar: saved results/out.txt" in seen.stderr


def test_nothing_that_is_there_is_overwritten(belljar: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    assert belljar("run", "-c", "open('a.txt', 'w').write('new')").returncode == 0
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert (tmp_path / "a (2).txt").read_text() == "new"


def test_names_that_the_program_chose_stay_in_the_directory(belljar: Command, tmp_path: Path) -> None:
    code = r"""
for name in (b"new\nline", b"\xff", b"-rf", b"..hidden", b"a\\b", b"\x1b[31m", b".bashrc", b"C:\\x"):
    open(b"/files/work/" + name, "wb").write(name)
"""
    seen = belljar("run", "-o", "out", "-c", code)
    assert seen.returncode == 0, seen.stderr
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert len(names) == 8
    assert {path.name for path in tmp_path.iterdir()} <= {"out", ".state"}
    for name in names:
        assert name.isprintable()
        assert not name.startswith("-")
        assert "\\" not in name


def test_a_link_where_results_go_is_not_followed(belljar: Command, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").symlink_to(tmp_path / "target")
    assert belljar("run", "-o", "out", "-c", "open('a.txt', 'w').write('new')").returncode == 0
    assert not (tmp_path / "target").exists()


def test_the_document(belljar: Command, tmp_path: Path) -> None:
    seen = belljar("run", "--json", "-c", "print('out')\nopen('a.csv', 'w').write('x,y\\n')\n6 * 7")
    assert seen.returncode == 0
    document: dict[str, Any] = json.loads(seen.stdout)
    assert set(document) == {
        *(
            "id",
            "type",
            "container",
            "outcome",
            "return_code",
            "stdout",
            "stderr",
            "truncated",
            "outputs",
            "files",
        ),
        *("usage", "isolation", "laps", "restored", "deleted", "runtime"),
    }
    assert document["outcome"]["status"] == "completed"
    assert document["stdout"] == "out\n"
    assert document["outputs"][-1] == {"type": "execute_result", "data": {"text/plain": "42"}}
    (file,) = document["files"]
    assert (file["filename"], file["mime_type"], file["size_bytes"]) == ("a.csv", "text/csv", 4)
    assert document["isolation"]["level"] in ("full", "limited")
    assert {"fork", "namespaces", "furniture", "filter", "run"} <= {
        lap.removeprefix("parked.") for lap in document["laps"]
    }
    seen = belljar("run", "--json", "-c", "raise SystemExit(3)")
    assert seen.returncode == 3
    assert json.loads(seen.stdout)["return_code"] == 3


def test_a_chart_is_saved(belljar: Command, tmp_path: Path) -> None:
    seen = belljar("run", "-o", "out", "-c", "import matplotlib.pyplot as plt; plt.plot([1, 2])")
    assert seen.returncode == 0, seen.stderr
    assert (tmp_path / "out" / "figure-1.png").read_bytes().startswith(b"\x89PNG")


def test_a_chart_in_other_formats(belljar: Command, tmp_path: Path) -> None:
    code = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.savefig('mine.png'); plt.close()"
    asked = ("--chart-format", "svg", "--chart-format", "pdf", "--chart-dpi", "50")
    seen = belljar("run", "-o", "out", *asked, "-c", code)
    assert seen.returncode == 0, seen.stderr
    made = {path.name: path.read_bytes()[:5] for path in (tmp_path / "out").iterdir()}
    assert made == {"mine.png": b"\x89PNG\r", "figure-1.svg": b"<?xml", "figure-1.pdf": b"%PDF-"}


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_chart_that_is_saved_prints_nothing(belljar: Command, tmp_path: Path, kind: str) -> None:
    code = (
        "import matplotlib.pyplot as plt\nfrom IPython.display import SVG\nplt.plot([1])\nplt.show()\nprint('after')\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))"
    )
    seen = belljar("run", "-o", "out", "--chart-format", kind, "-c", code)
    assert seen.stdout == "after\n<IPython.core.display.SVG object>\n", seen.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"figure-1.{kind}", "figure-2.svg"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "give one program"),
        (["run", "missing.py"], "missing.py cannot be read"),
        (["run", "-f", "missing.csv", "-c", "1"], "there is no file missing.csv"),
        (["run", "--timeout", "0", "-c", "1"], "--timeout"),
        (["run", "--timeout", "-1", "-c", "1"], "--timeout"),
        (["run", "--timeout", "nan", "-c", "1"], "TIMEOUT"),
        (["run", "--memory", "1", "-c", "1"], "--memory"),
        (["run", "--chart-format", "gif", "-c", "1"], "--chart-format"),
        (["run", "--chart-dpi", "5", "-c", "1"], "--chart-dpi"),
        (["run", "--memory", "-5", "-c", "1"], "--memory"),
        (["run", "-o", "/dev/null/x", "-c", "1"], "Not a directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(belljar: Command, arguments: list[str], said: str) -> None:
    seen = belljar(*arguments)
    assert seen.returncode == 125
    assert seen.stdout == ""
    (line,) = seen.stderr.splitlines()
    assert line.startswith("belljar: ")
    assert said in line


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"BELLJAR_RUNTIME": "/nowhere"}, "there is no runtime at /nowhere"),
        ({"BELLJAR_MEMORY_BYTES": "lots"}, "BELLJAR_MEMORY_BYTES"),
        ({"BELLJAR_PRELOAD": "not json"}, "preload"),
    ],
)
def test_settings_that_do_not_work_are_named(
    belljar: Command, environment: dict[str, str], said: str
) -> None:
    for command in (["run", "-c", "1"], ["doctor"]):
        seen = belljar(*command, **environment)
        assert seen.returncode == 125
        assert said in seen.stderr
        assert "Traceback" not in seen.stderr


def test_the_level_that_is_required(belljar: Command) -> None:
    seen = belljar("doctor", BELLJAR_REQUIRE="full")
    if os.geteuid() == 0:
        assert seen.returncode == 0, seen.stderr
    else:
        assert seen.returncode == 125
        assert "limited" in seen.stderr
        assert "missing" in seen.stderr


def test_doctor(belljar: Command) -> None:
    seen = belljar("doctor")
    assert seen.returncode == 0, seen.stderr
    level = "full" if os.geteuid() == 0 else "limited"
    assert f"isolation   {level}" in seen.stdout
    assert "6 * 7 = 42" in seen.stdout
    facts = json.loads(belljar("doctor", "--json").stdout)
    assert facts["isolation"]["level"] == level
    assert bool(facts["isolation"]["missing"]) == (level == "limited")
    assert bool(facts["not_stopped"]) == (level == "limited")
    assert facts["shell_tools"] == {
        program: os.access(f"/usr/bin/{program}", os.X_OK) for program in shell_tools.PACKAGES
    }
    assert (
        f"shell tools {shell_tools.described([p for p, there in facts['shell_tools'].items() if there])}"
        in (seen.stdout)
    )
    assert all(f"not stopped at {level}: {name} (" in seen.stdout for name in facts["not_stopped"])


def test_batch(belljar: Command, tmp_path: Path) -> None:
    items = [
        {
            "code": "print(open('a.txt').read())",
            "files": [{"name": "a.txt", "data": "aGk="}],
            "custom_id": "first",
        },
        {"code": "open('made', 'w').write('x'); 1 / 0"},
        {"code": 1, "custom_id": "wrong"},
        {"code": "print(1)", "container": "container_x"},
        {"code": "print(1)", "files": [{"name": "a", "data": "*"}]},
        {"code": "print(1)", "limits": {"pids": 1}},
        {"code": "print(1)", "files": [{"name": "a", "data": ""}, {"name": "a", "data": ""}]},
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, items)))
    seen = belljar("batch", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl"))
    assert (seen.returncode, seen.stdout) == (1, "")
    assert seen.stderr == "belljar: 5 of 7 lines could not be run; `error` in their answers says why\n"
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    by_index = {line["index"]: line for line in lines}
    assert sorted(by_index) == [0, 1, 2, 3, 4, 5, 6]
    assert (by_index[0]["custom_id"], by_index[0]["execution"]["stdout"]) == ("first", "hi\n")
    assert by_index[1]["execution"]["outcome"]["reason"] == "ZeroDivisionError"
    assert by_index[2]["custom_id"] == "wrong"
    assert [file["filename"] for file in by_index[1]["execution"]["files"]] == ["made"]
    assert all(by_index[n]["error"]["type"] == "invalid_request_error" for n in (2, 3, 4, 5, 6))
    # What is there is not written over.
    again = belljar("batch", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl"))
    assert again.returncode == 125
    assert "out.jsonl" in again.stderr


def test_batch_from_standard_input(belljar: Command) -> None:
    seen = belljar("batch", "-", "-j", "3", stdin="".join(f'{{"code": "print({n})"}}\n' for n in range(10)))
    assert (seen.returncode, seen.stderr) == (0, "")
    lines = [json.loads(line) for line in seen.stdout.splitlines()]
    assert {line["index"]: line["execution"]["stdout"] for line in lines} == {n: f"{n}\n" for n in range(10)}
    empty = belljar("batch", "-", stdin="\n")
    assert empty.returncode == 125
    assert "JSON lines" in empty.stderr


def test_an_answer_is_one_line_whoever_counts_them(belljar: Command, tmp_path: Path) -> None:
    line = json.dumps({"code": r"print('a\u2028b\u2029c\x85d')"})
    for arguments in (["-"], ["-", "-o", str(tmp_path / "out.jsonl")]):
        seen = belljar("batch", *arguments, stdin=line)
        written = seen.stdout if len(arguments) == 1 else (tmp_path / "out.jsonl").read_text("utf-8")
        (answer,) = written.splitlines()
        assert json.loads(answer)["execution"]["stdout"] == "a\u2028b\u2029c\x85d\n"


def test_half_a_character_in_standard_input(belljar: Command) -> None:
    code = "import sys; print(sys.stdin.buffer.read().hex())"
    lines = [json.dumps({"code": code, "stdin": text}) for text in ("é\ud800", "é\udcff")]
    seen = belljar("batch", "-", "-j", "1", stdin="\n".join(lines))
    printed = [json.loads(line)["execution"]["stdout"] for line in seen.stdout.splitlines()]
    assert printed == ["c3a9eda080\n", "c3a9ff\n"]


def _first_line_of(process: subprocess.Popen[str]) -> str:
    """What it prints first, and then nobody reads any more: it ends by that, quietly."""
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    try:
        assert process.wait(60) == 128 + signal.SIGPIPE
    finally:
        process.kill()
    assert process.stderr.read() == ""
    return first


def test_a_batch_whose_answers_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    """More of them than a pipe holds, and several fail at once."""
    line = json.dumps({"code": "print('x' * 100_000)"})
    (tmp_path / "in.jsonl").write_text(f"{line}\n" * 8)
    process = subprocess.Popen(
        [str(BELLJAR), "batch", str(tmp_path / "in.jsonl")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert _first_line_of(process).startswith('{"index"')


def test_a_batch_whose_reader_does_not_read_is_ended_by_ctrl_c(tmp_path: Path) -> None:
    line = json.dumps({"code": "print('x' * 30_000)"})
    (tmp_path / "in.jsonl").write_text(f"{line}\n" * 40)
    process = subprocess.Popen(
        [str(BELLJAR), "batch", str(tmp_path / "in.jsonl"), "-j", "8"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        until = time.monotonic() + 60
        lying = array.array("i", [0])
        while lying[0] <= 2**16 - select.PIPE_BUF:  # of what a pipe holds
            assert time.monotonic() < until
            time.sleep(0.05)
            fcntl.ioctl(process.stdout, termios.FIONREAD, lying)
        # Whatever was half written is returned from, and the next answer finds no place at all.
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0] != "S":
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b"belljar: interrupted\n"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "command",
    [
        ["batch", "in.jsonl"],
        ["batch", "in.jsonl", "--json"],
        ["runtime", "list"],
        ["--help"],
        ["run", "--help"],
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_has_no_room_is_told(tmp_path: Path, command: list[str], unbuffered: str) -> None:
    (tmp_path / "in.jsonl").write_text('{"code": "print(1)"}\n' * 8)
    with open("/dev/full", "w") as full:
        seen = subprocess.run(
            [str(BELLJAR), *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered, "BELLJAR_STATE_DIR": str(tmp_path)},
        )
    assert (seen.returncode, seen.stderr) == (125, "belljar: output: No space left on device\n")


@pytest.mark.parametrize("command", [[], ["run"], ["batch"], ["serve"], ["doctor"]])
def test_help(belljar: Command, command: list[str]) -> None:
    for option in ("--help", "-h"):
        seen = belljar(*command, option)
        assert seen.returncode == 0
        assert seen.stdout.startswith("Usage: belljar")
    assert seen.stderr == ""


def test_unknown_words_are_refused(belljar: Command) -> None:
    assert belljar("fly").returncode == 125
    assert belljar("run", "--fly").returncode == 125


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    code = "for i in range(10**6): print(i)"
    process = subprocess.Popen(
        [str(BELLJAR), "run", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert _first_line_of(process) == "0\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_interrupted_ends_with_all_that_it_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    code = "print('begun', flush=True)\nwhile True: pass"
    process = subprocess.Popen(
        [str(BELLJAR), "run", "--timeout", "600", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in stderr


def _keepers(pid: int) -> list[int]:
    """The keepers among what a command has started itself."""
    return [
        child
        for child in children(pid)
        if b"belljar.keeper" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    ]


def test_further_signals_do_not_wait_for_the_keeper() -> None:
    process = subprocess.Popen(
        [str(BELLJAR), "run", "--no-server", "-c", "print('begun', flush=True)\nwhile True: pass"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    (keeper,) = _keepers(process.pid)
    os.kill(keeper, signal.SIGSTOP)
    try:
        # The first is for the program, the next for waiting for its end, and then for the keeper's.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        assert process.returncode == 130
        os.kill(keeper, signal.SIGCONT)  # to end, for nobody owns it any more: it was left, and not killed
        assert process.communicate(timeout=60)[1] == "belljar: interrupted\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_a_command_that_is_interrupted_before_it_has_begun_says_so() -> None:
    process = subprocess.Popen(
        [str(BELLJAR), "run", "--no-server", "-c", "print(1)"], stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 60
        while not children(process.pid):  # it imports what it needs for the command now
            assert time.monotonic() < until
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (130, "belljar: interrupted\n")


def test_a_command_that_can_start_nothing_says_why() -> None:
    command = f"ulimit -n 7; exec {shlex.quote(str(BELLJAR))} run --no-server -c 'print(1)'"
    seen = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (seen.returncode, seen.stdout) == (125, "")
    assert re.fullmatch(r"belljar: .*Too many open files\n", seen.stderr)


def test_an_exception_on_a_terminal_comes_with_values_and_a_hint(belljar: Command, tmp_path: Path) -> None:
    code = "rows = {'price': 3}\nrows['prise']"
    plain = belljar("run", "-c", code)
    assert plain.stderr.endswith("KeyError: 'prise'\n")
    ours, theirs = os.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLJAR_")}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [str(BELLJAR), "run", "-c", code],
            stderr=theirs,
            cwd=tmp_path,
            env=environment | {"BELLJAR_STATE_DIR": str(tmp_path / ".state")},
        )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # that is how a terminal says that its other end is closed
            while piece := terminal.read(4096):
                shown += piece
        assert process.wait(120) == 1
    lines = shown.decode().splitlines()
    assert lines[-3:] == [
        "In <module>, line 2:",
        "  rows: dict, 1 item: {'price': 3}",
        "Hint: There is 'price'. The keys are: 'price'.",
    ]
    assert "KeyError: 'prise'" in lines


def test_hundreds_of_files_are_saved_and_some_are_said(belljar: Command, tmp_path: Path) -> None:
    seen = belljar("run", "-o", "made", "-c", "for n in range(1200): open(f'{n:04}.txt', 'w').write(str(n))")
    assert seen.returncode == 0
    assert len(list((tmp_path / "made").iterdir())) == 1200
    assert (tmp_path / "made" / "1199.txt").read_text() == "1199"
    assert "saved 1,100 more below made" in seen.stderr
    assert seen.stderr.count("\n") == 101
