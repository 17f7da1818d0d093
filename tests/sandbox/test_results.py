"""What a run gives back, in a fresh interpreter without any library ahead."""

from __future__ import annotations

import anyio
import pytest
from jail import SPEAKING, Session, has_cgroups, opened

from belljar import link, results
from belljar.records import MIB
from belljar.wire.execution import Truncated

pytestmark = pytest.mark.anyio


async def test_both_streams_and_the_return_code(session: Session) -> None:
    result = await session.run("import sys; print('out'); print('err', file=sys.stderr)")
    assert (result.stdout, result.stderr, result.return_code) == ("out\n", "err\n", 0)
    assert (result.outcome.status, result.outcome.reason) == ("completed", "completed")
    assert result.truncated == Truncated(stdout=False, stderr=False)
    assert result.usage.wall_seconds > 0
    assert result.files == []
    assert result.files_left_out == result.displays_left_out == 0


async def test_the_last_expression_is_a_result(session: Session) -> None:
    result = await session.run("x = 6\nx * 7")
    assert result.outputs == [results.Display("execute_result", {"text/plain": b"42"})]
    assert result.stdout == ""
    assert await session.says("print(_)") == "42"
    assert (await session.run("None")).outputs == []
    assert (await session.run("x = 1")).outputs == []


async def test_a_result_is_shown_as_text_whatever_its_repr_does(session: Session) -> None:
    result = await session.run(
        """
        class Odd:
            def __repr__(self): raise ValueError("no repr")
        Odd()
        """
    )
    assert result.outcome.status == "raised"
    result = await session.run("'x' * 10_000_000")
    (shown,) = result.outputs
    assert isinstance(shown, results.Display)
    assert len(shown.data["text/plain"]) < 300_000
    assert b"characters left out" in shown.data["text/plain"]


@pytest.mark.parametrize("code", ["", "\n\n", "# nothing", "'''doc'''\nNone"])
async def test_code_that_does_nothing_completes(session: Session, code: str) -> None:
    result = await session.run(code)
    assert (result.outcome.status, result.outputs, result.return_code) == ("completed", [], 0)


# -- exceptions --------------------------------------------------------------------------------------------


async def test_a_traceback_holds_the_users_lines_only(session: Session) -> None:
    result = await session.run("def f(x):\n    return 1 / x\n\nprint('before')\nf(0)\n")
    assert (result.outcome.status, result.outcome.reason) == ("raised", "ZeroDivisionError")
    assert result.return_code == 1
    assert result.stdout == "before\n"
    raised = result.outputs[-1]
    assert isinstance(raised, results.Raised)
    assert (raised.ename, raised.evalue) == ("ZeroDivisionError", "division by zero")
    # Which lines are marked is the interpreter's own affair, and differs between its versions.
    assert [line for line in raised.traceback if line.strip(" ~^")] == [
        "Traceback (most recent call last):",
        '  File "<cell 1>", line 5, in <module>',
        "    f(0)",
        '  File "<cell 1>", line 2, in f',
        "    return 1 / x",
        "ZeroDivisionError: division by zero",
    ]
    assert result.stderr == "".join(f"{line}\n" for line in raised.traceback)


async def test_a_chain_of_exceptions_is_shown_and_holds_no_line_of_ours(session: Session) -> None:
    result = await session.run(
        """
        try:
            {}["x"]
        except KeyError as error:
            raise RuntimeError("second") from error
        """
    )
    assert "direct cause" in result.stderr
    assert "KeyError: 'x'" in result.stderr
    assert "belljar" not in result.stderr


async def test_a_syntax_error_points_at_the_users_text(session: Session) -> None:
    result = await session.run("x = 1\nx = = 2\n")
    assert result.outcome.reason == "SyntaxError"
    assert '"<cell 1>", line 2' in result.stderr
    assert "x = = 2" in result.stderr
    assert "belljar" not in result.stderr
    assert result.stderr.count("File ") == 1
    assert (await session.run("'\\ud800'.encode()")).outcome.reason == "UnicodeEncodeError"
    assert (await session.run("x = 1\0")).outcome.status == "raised"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Own(BaseException): pass\nraise Own('x')", "Own"),
        ("raise BaseExceptionGroup('g', [SystemExit(1), ValueError()])", "BaseExceptionGroup"),
        ("def f(): f()\nf()", "RecursionError"),
        ("class Bad(Exception):\n  def __str__(self): raise ValueError('x')\nraise Bad", "Bad"),
        ("class Bad(Exception):\n  def __str__(self): raise SystemExit(9)\nraise Bad", "Bad"),
        ("class Bad(Exception):\n  __module__ = property(lambda s: 1/0)\nraise Bad()", "Bad"),
        ("raise Exception('x' * 10_000_000)", "Exception"),
        ("e = Exception(); e.__cause__ = e; raise e", "Exception"),
        ("raise OSError(28, 'made up')", "OSError"),
    ],
)
async def test_every_exception_is_reported_and_survived(session: Session, code: str, name: str) -> None:
    result = await session.run(code)
    assert (result.outcome.status, result.outcome.reason, result.return_code) == ("raised", name, 1)
    assert isinstance(result.outputs[-1], results.Raised)
    assert len(result.stderr) < 100_000
    assert await session.says("print('alive')") == "alive"


# -- exits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "return_code", "stderr"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(0)", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit(256 + 7)", 7, ""),
        ("sys.exit(-1)", 255, ""),
        ("sys.exit('a message')", 1, "a message\n"),
        ("exit(4)", 4, ""),
        ("raise SystemExit(None)", 0, ""),
    ],
)
async def test_sys_exit_ends_the_code_and_not_the_session(
    session: Session, code: str, return_code: int, stderr: str
) -> None:
    result = await session.run(f"import sys\nkept = 5\n{code}\nprint('not reached')")
    assert (result.outcome.status, result.outcome.reason) == ("exited", "exit")
    assert (result.return_code, result.stdout, result.stderr) == (return_code, "", stderr)
    assert await session.says("print(kept)") == "5"


@pytest.mark.parametrize("code", [0, 3, 124, 137])
async def test_an_exit_of_the_process_is_an_exit_whatever_its_number(session: Session, code: int) -> None:
    result = await session.run(
        f"import os; open('kept', 'w').write('k'); print('last', flush=True); os._exit({code})"
    )
    assert (result.outcome.status, result.return_code) == ("exited", code)
    assert result.stdout == "last\n"
    assert "lost" in result.outcome.message
    assert await session.says("print(open('kept').read())") == "k"


@pytest.mark.parametrize(
    ("code", "reason", "return_code"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV", 139),
        ("import os; os.abort()", "SIGABRT", 134),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL", 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "SIGTERM", 143),
    ],
)
async def test_a_crash_is_named_by_its_signal(
    session: Session, code: str, reason: str, return_code: int
) -> None:
    await session.run("open('kept', 'w').write('k'); lost = 1")
    result = await session.run(f"print('last', flush=True)\n{code}")
    assert (result.outcome.status, result.outcome.reason) == ("crashed", reason)
    assert result.return_code == return_code
    assert result.stdout == "last\n"
    assert await session.says("print(open('kept').read(), 'lost' in globals())") == "k False"


# -- state -------------------------------------------------------------------------------------------------


async def test_variables_imports_and_files_live_on(session: Session) -> None:
    await session.run(
        "import math\nx = 5\ndef area(r): return math.pi * r * r\nopen('f.txt', 'w').write('data')"
    )
    assert await session.says("print(x, round(area(2), 2), open('f.txt').read())") == "5 12.57 data"


async def test_the_working_directory_and_main_module_are_the_codes_own(session: Session) -> None:
    assert (
        await session.says("import os, sys; print(os.getcwd(), __name__, sys.argv)")
        == "/files/work __main__ ['']"
    )
    await session.run("open('mine.py', 'w').write('value = 11')")
    assert await session.says("import mine; print(mine.value)") == "11"
    assert await session.says("import __main__; __main__.y = 3; print(y)") == "3"


async def test_pickle_and_dataclasses_find_the_codes_classes(session: Session) -> None:
    code = """
        import pickle, dataclasses, typing
        @dataclasses.dataclass
        class Point:
            x: int
        print(pickle.loads(pickle.dumps(Point(3))), typing.get_type_hints(Point))
    """
    assert await session.says(code) == "Point(x=3) {'x': <class 'int'>}"


async def test_input_reads_what_was_given(session: Session) -> None:
    result = await session.run("print(input(), input())", stdin="first\nsécond\n")
    assert result.stdout == "first sécond\n"
    result = await session.run("import sys; print(len(sys.stdin.read()))", stdin="x" * 3_000_000)
    assert result.stdout == "3000000\n"
    result = await session.run("import subprocess; subprocess.run(['cat'])", stdin="to the child")
    assert result.stdout == "to the child"


async def test_input_without_any_is_at_its_end(session: Session) -> None:
    result = await session.run("input('name? ')", timeout=30)
    assert result.outcome.reason == "EOFError"
    assert result.stdout == "name? "
    assert await session.says("import sys; print(repr(sys.stdin.read()))") == "''"


async def test_the_environment_of_one_run(session: Session) -> None:
    code = "import os; print(os.environ.get('TOKEN'), os.environ['HOME'])"
    assert (await session.run(code, env={"TOKEN": "tök", "HOME": "/files"})).stdout == "tök /files\n"
    assert await session.says(code) == "None /tmp"


async def test_each_run_has_an_output_directory(session: Session) -> None:
    code = """
        import os, pathlib
        out = pathlib.Path(os.environ["OUTPUT_DIR"])
        print(list(out.iterdir()))
        (out / "sub").mkdir()
        (out / "sub" / "chart.txt").write_text("chart")
    """
    for _ in range(2):
        result = await session.run(code)
        assert result.stdout == "[]\n"
        assert [(file.path, file.size_bytes) for file in result.files] == [("sub/chart.txt", 5)]
        assert await session.content(result.files[0]) == b"chart"


# -- output ------------------------------------------------------------------------------------------------


async def test_files_that_their_owner_may_not_read_come_back_too(session: Session) -> None:
    result = await session.run(
        """
        import os
        for name in "made", "found":
            with open(os.open(name, os.O_CREAT | os.O_WRONLY, 0o100), "w") as file:
                file.write("x" * 10)
        """
    )
    made = next(file for file in result.files if file.path == "made")
    assert [await session.content(made) for _ in range(2)] == [b"x" * 10] * 2
    found = await session.keeper.find(session.name, "found")
    for _ in range(2):
        assert [piece async for piece in session.keeper.read(session.name, found)] == [b"x" * 10]
    assert [
        file.path for file in (await session.run("")).files if file.path == "made"
    ] == []  # it is what it was


async def test_text_of_any_language_arrives_as_it_is(session: Session) -> None:
    text = "Žluťoučký кот 猫 😀 \u202e \x1b[31m \0"
    assert (await session.run(f"print({text!r}, end='')")).stdout == text
    result = await session.run("import sys; sys.stdout.buffer.write(b'a\\xffb'); print('\\ud800')")
    assert result.stdout == "a\N{REPLACEMENT CHARACTER}b\\ud800\n"


async def test_outputs_are_in_the_order_in_which_they_were_made(session: Session) -> None:
    seen: list[results.Event] = []
    result = await session.run("print('one')\nprint('two')\n'three'", on_event=seen.append)
    assert result.outputs == [
        results.Stream("stdout", "one\ntwo\n"),
        results.Display("execute_result", {"text/plain": b"'three'"}),
    ]
    assert "".join(event.text for event in seen if isinstance(event, results.Stream)) == "one\ntwo\n"
    assert seen[-1] == result.outputs[-1]


async def test_output_arrives_while_the_code_runs(session: Session) -> None:
    first = anyio.Event()

    def heard(event: results.Event) -> None:
        first.set()

    async with anyio.create_task_group() as tasks:

        async def wait_then_answer() -> None:
            with anyio.fail_after(20):
                await first.wait()
            await session.put("go", b"")

        tasks.start_soon(wait_then_answer)
        result = await session.run(
            """
            import os, time
            print("waiting")
            while not os.path.exists("go"):
                time.sleep(0.01)
            """,
            on_event=heard,
        )
    assert result.outcome.status == "completed"


async def test_a_caller_that_cannot_bear_an_event_ends_its_own_run_and_no_other(
    session: Session, keeper: link.Keeper
) -> None:
    def refuse(event: results.Event) -> None:
        raise LookupError("no place for it")

    async with opened(keeper) as other, anyio.create_task_group() as tasks:
        seen: list[results.Result] = []

        async def run_beside() -> None:
            seen.append(await other.run("import time; print('a', flush=True); time.sleep(1); print('b')"))

        tasks.start_soon(run_beside)
        with anyio.fail_after(20), pytest.raises(LookupError):
            await session.run("import time; print('x', flush=True); time.sleep(60)", on_event=refuse)
        assert (await session.run("print('again')")).stdout == "again\n"
    assert seen[0].stdout == "a\nb\n"


async def test_a_flood_keeps_head_and_tail(keeper: link.Keeper) -> None:
    async with opened(keeper, output_bytes=10_000) as session:
        result = await session.run("for i in range(20_000): print(f'line {i:06}')")
        assert result.outcome.status == "completed"
        assert result.truncated == Truncated(stdout=True, stderr=False)
        assert result.stdout.startswith("line 000000\nline 000001\n")
        assert result.stdout.endswith("line 019998\nline 019999\n")
        assert "bytes of output left out" in result.stdout
        assert len(result.stdout) < 10_200
        # the next run has its own budget
        assert await session.says("print('x' * 9_999)") == "x" * 9_999


async def test_a_program_that_never_stops_writing_is_stopped(keeper: link.Keeper) -> None:
    async with opened(keeper, output_bytes=10_000) as session:
        result = await session.run("kept = 1\nwhile True: print('x' * 1000)", timeout=60)
        assert (result.outcome.status, result.outcome.reason) == ("output_exceeded", "output_bytes")
        assert len(result.stdout) < 10_200
        assert await session.says("print(kept)") == "1"


async def test_what_children_write_is_captured_too(session: Session) -> None:
    result = await session.run(
        """
        import os, subprocess, sys
        print("one")
        subprocess.run([sys.executable, "-c", "import sys; print('two'); print('e', file=sys.stderr)"])
        os.system("echo three; echo four > /dev/stdout; echo f > /dev/stderr")
        os.write(1, b"five\\n")
        """
    )
    assert result.stdout == "one\ntwo\nthree\nfour\nfive\n"
    assert result.stderr == "e\nf\n"


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout = None",
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout.detach()",
        "import sys, io; sys.stdout = sys.stderr = io.StringIO(); print('hidden')",
        "import sys; del sys.stdout, sys.stderr, sys.stdin",
        "import os; os.close(1); os.close(2)",
        "import os; os.closerange(0, 3)",
        "import builtins; builtins.print = None",
        "import sys; sys.modules.clear()",
        "import sys\nclass Bad:\n  def flush(self): raise RuntimeError\n  def write(self, t): pass\nsys.stdout = Bad()",
    ],
)
async def test_code_that_breaks_its_own_streams_ends_and_harms_no_other(
    session: Session, keeper: link.Keeper, code: str
) -> None:
    result = await session.run(code, timeout=30)
    assert result.outcome.status in ("completed", "raised", "exited", "crashed")
    async with opened(keeper) as other:
        assert await other.says("print('fine')") == "fine"


async def test_a_stream_that_was_replaced_for_a_while_is_there_again(session: Session) -> None:
    result = await session.run(
        """
        import contextlib, io
        with contextlib.redirect_stdout(io.StringIO()) as held:
            print("held")
        print("shown", held.getvalue().strip())
        """
    )
    assert result.stdout == "shown held\n"


# -- processes and threads ---------------------------------------------------------------------------------


async def test_a_fork_of_the_code_does_not_come_back_a_second_time(session: Session) -> None:
    result = await session.run(
        "import os\npid = os.fork()\nprint('parent' if pid else 'child')\nif pid: os.waitpid(pid, 0)"
    )
    assert sorted(result.stdout.split()) == ["child", "parent"]
    assert result.outcome.status == "completed"
    assert await session.says("print('once')") == "once"
    result = await session.run("import os\nif os.fork(): print(os.wait()[1])\nelse: raise SystemExit(3)")
    assert result.stdout == f"{3 << 8}\n"
    assert await session.says("print(pid > 0)") == "True"


async def test_pools_of_threads_and_processes_work(session: Session) -> None:
    code = """
        import concurrent.futures, multiprocessing
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            print(sum(pool.map(lambda x: x * x, range(10))))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(sum(pool.map(abs, range(-5, 5))))
        import asyncio
        print(asyncio.run(asyncio.sleep(0.01, "slept")))
    """
    assert await session.says(code) == "285\n25\nslept"


async def test_a_thread_that_prints_after_its_run_does_not_speak_in_the_next(session: Session) -> None:
    result = await session.run(
        """
        import threading
        go, done = threading.Event(), threading.Event()
        def late():
            go.wait()
            print("late")
            done.set()
        threading.Thread(target=late, daemon=True).start()
        print("first")
        """
    )
    assert result.stdout == "first\n"
    result = await session.run("print('second')\ngo.set()\ndone.wait()\nprint('third')")
    # It printed while this run was under way, so this run is where its line is seen; nothing is lost or doubled.
    assert sorted(result.stdout.split()) == ["late", "second", "third"]


async def test_a_child_that_holds_the_output_open_does_not_hold_up_the_run(session: Session) -> None:
    result = await session.run("import subprocess; p = subprocess.Popen(['sleep', '1000']); print('done')")
    assert (result.outcome.status, result.stdout) == ("completed", "done\n")
    assert await session.says("print(p.poll())") == "None"


async def test_usage_is_of_this_run(session: Session, keeper: link.Keeper) -> None:
    result = await session.run(f"x = bytearray({150 * MIB})")
    # Without a cgroup the keeper looks now and then, and may miss what was there for a moment.
    assert result.usage.peak_memory_bytes > 100 * MIB or not has_cgroups(keeper)
    result = await session.run("x = None\nimport time\nwhile time.process_time() < 1: pass")
    assert result.usage.cpu_seconds >= 0.2
    result = await session.run("pass")
    assert result.usage.cpu_seconds < 0.2
    assert result.usage.peak_memory_bytes < 100 * MIB


@pytest.mark.parametrize(
    "how", ["os.link('f0', f'f{n}')", "os.truncate(os.open(f'f{n}', os.O_CREAT | os.O_RDWR), 9 << 20)"]
)
async def test_files_come_back_as_large_as_the_disk_and_no_larger(keeper: link.Keeper, how: str) -> None:
    """Many names of one file, and files with holes, could be many times what a session may have."""
    code = f"""
import os
open('f0', 'wb').write(bytes(9 << 20))
for n in range(1, 40): {how}
open('z', 'w').write('small')
"""
    async with opened(keeper, disk_bytes=32 * MIB) as session:
        result = await session.run(code)
        assert sum(file.size_bytes for file in result.files) <= 32 * MIB
        assert result.files_left_out == 41 - len(result.files) > 30
        assert "Left out" in result.stderr
        assert any(file.path == "z" for file in result.files)


async def test_much_text_in_displays_is_left_out(session: Session) -> None:
    program = f"""
{SPEAKING}
for _ in range(3):
    say(message("display", b"\\1" * (6 << 20), type="display_data", parts=[["text/html", 6 << 20]], number=0))
"""
    result = await session.run(program)
    assert result.displays_left_out == 2
    assert len(result.outputs) == 1 + bool(result.stdout)
