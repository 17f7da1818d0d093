"""What a run may use, and what is left when it wanted more."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from jail import Session, Started, has_cgroups, has_own_uids, opened, status, until

from belljar import link
from belljar.errors import InvalidRequest, NotFound
from belljar.records import MIB, Limits

pytestmark = pytest.mark.anyio

_IGNORES = "import signal\nfor n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"

# -- time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(1000)",
        "import threading; threading.Event().wait()",
        "import subprocess; subprocess.run(['sleep', '1000'])",
        "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True).wait()",
        "open('/dev/zero', 'rb').read(1); import select; select.select([], [], [])",
    ],
)
async def test_where_sigint_is_enough_the_session_lives_on(session: Session, code: str) -> None:
    await session.run("kept = 5")
    result = await session.run(f"print('begun')\n{code}", timeout=0.5)
    assert (result.outcome.status, result.outcome.reason) == ("timed_out", "timeout_seconds")
    assert (result.return_code, result.stdout) == (124, "begun\n")
    assert "after 0.5 s" in result.outcome.message
    assert "variables and files are kept" in result.outcome.message
    assert "KeyboardInterrupt" in result.stderr
    assert await session.says("print(kept)") == "5"


async def test_where_sigint_is_ignored_the_files_live_on(session: Session) -> None:
    result = await session.run(
        f"kept = 5\nopen('file', 'w').write('f'){chr(10)}{_IGNORES}while True: pass", timeout=0.5
    )
    assert (result.outcome.status, result.return_code) == ("timed_out", 124)
    assert "variables are lost" in result.outcome.message
    assert [file.path for file in result.files] == ["file"]
    assert await session.content(result.files[0]) == b"f"
    assert await session.says("print(open('file').read(), 'kept' in globals())") == "f False"


async def test_code_that_swallows_the_interrupt_is_killed(session: Session) -> None:
    result = await session.run(
        """
        import time
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                print("not me", flush=True)
        """,
        timeout=0.5,
    )
    assert (result.outcome.status, result.stdout) == ("timed_out", "not me\n")
    assert await session.says("print(1)") == "1"


@pytest.mark.parametrize("is_ignored_by_the_code", [False, True])
async def test_nothing_that_the_code_started_outlives_a_time_out(
    started: Started, session: Session, is_ignored_by_the_code: bool
) -> None:
    before = started.processes()
    result = await session.run(
        f"""
import os, signal, subprocess, time
def hide():
    os.setsid()
    if os.fork(): os._exit(0)
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    open("hidden", "w").close()
    while True: time.sleep(1000)
if os.fork() == 0: hide()
os.wait()
subprocess.Popen(["setsid", "sh", "-c", "trap '' INT TERM HUP; sleep 1000; sleep 1000"])
while not os.path.exists("hidden"): time.sleep(0.01)
{_IGNORES if is_ignored_by_the_code else ""}
while True: os.system("trap '' INT; sleep 1000")
""",
        timeout=2,
    )
    assert result.outcome.status == "timed_out"
    assert [file.path for file in result.files] == ["hidden"]
    await until(lambda: len(started.processes()) <= len(before))
    pids = (
        "import os; print([int(name) for name in os.listdir('/proc') if name.isdigit()] == [1, os.getpid()])"
    )
    assert await session.says(pids) == "True"


async def test_the_clock_is_the_runs_own(session: Session) -> None:
    for _ in range(3):
        result = await session.run("import time; time.sleep(1000)", timeout=0.3)
        assert result.outcome.status == "timed_out"
    assert (await session.run("print(1)", timeout=30)).stdout == "1\n"


async def test_a_cancelled_run_is_interrupted_and_the_session_lives_on(session: Session) -> None:
    begun = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            code = "kept = 7\nprint('begun')\nimport time; time.sleep(1000)"
            await session.run(code, timeout=600, on_event=lambda event: begun.set())

        tasks.start_soon(run)
        with anyio.fail_after(30):
            await begun.wait()
        tasks.cancel_scope.cancel()
    assert await session.says("print(kept)") == "7"


async def test_a_cancelled_run_that_ignores_it_is_killed(session: Session) -> None:
    begun = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            code = f"{_IGNORES}print('begun', flush=True)\nwhile True: pass"
            await session.run(code, timeout=600, on_event=lambda event: begun.set())

        tasks.start_soon(run)
        with anyio.fail_after(30):
            await begun.wait()
        tasks.cancel_scope.cancel()
    assert await session.says("print('new')") == "new"


async def test_a_session_runs_one_piece_of_code_at_a_time(session: Session) -> None:
    begun = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            code = "print('begun')\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"
            result = await session.run(code, on_event=lambda event: begun.set())
            assert result.outcome.status == "completed"

        tasks.start_soon(run)
        with anyio.fail_after(30):
            await begun.wait()
        with pytest.raises(InvalidRequest, match="one run at a time"):
            await session.run("print('second')")
        await session.put("go", b"")
    assert await session.says("print('third')") == "third"


async def test_a_session_that_is_closed_while_it_runs(keeper: link.Keeper) -> None:
    begun = anyio.Event()
    ended: list[str] = []
    async with opened(keeper) as session:
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                code = f"{_IGNORES}print('begun', flush=True)\nwhile True: pass"
                result = await session.run(code, timeout=600, on_event=lambda event: begun.set())
                ended.append(result.outcome.status)

            tasks.start_soon(run)
            with anyio.fail_after(30):
                await begun.wait()
            await session.close()
        assert ended[0] in ("interrupted", "crashed", "lost")
        with pytest.raises(NotFound):
            await session.run("print(1)")


async def test_twenty_sessions_at_once_do_not_mix(keeper: link.Keeper) -> None:
    outputs: dict[int, str] = {}

    async def one(number: int) -> None:
        async with opened(keeper, memory_bytes=128 * MIB) as session:
            await session.put("mine", str(number).encode())
            await session.run(f"mine = {number}; open('/tmp/mine', 'w').write('{number}')")
            result = await session.run(
                "import os\nfor _ in range(200): print(mine)\n"
                "print(open('mine').read(), open('/tmp/mine').read(), os.listdir())"
            )
            outputs[number] = result.stdout

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one, number)
    assert outputs == {n: f"{n}\n" * 200 + f"{n} {n} ['mine']\n" for n in range(20)}


# -- memory ------------------------------------------------------------------------------------------------


async def test_memory(keeper: link.Keeper) -> None:
    async with opened(keeper, memory_bytes=100 * MIB) as session:
        await session.run("open('kept', 'w').write('k')")
        result = await session.run("held = []\nwhile True: held.append(bytearray(1024 * 1024))", timeout=60)
        if has_cgroups(keeper):
            assert (result.outcome.status, result.outcome.reason) == ("out_of_memory", "memory_bytes")
            assert result.return_code == 137
            assert "100 MiB of memory (peak " in result.outcome.message
            assert 90 * MIB < result.usage.peak_memory_bytes <= 100 * MIB
        else:
            assert result.outcome.status in ("out_of_memory", "raised")
            assert result.outcome.reason in ("memory_bytes", "MemoryError")
            await session.run("held = None")
        assert await session.says("print(open('kept').read())") == "k"


async def test_where_the_machine_has_no_memory_left_sessions_end_before_servers(session: Session) -> None:
    score = "open('/proc/self/oom_score_adj').read()"
    own = int(Path("/proc/self/oom_score_adj").read_text())
    said = await session.says(f"print({score}, end='')")
    assert int(said) == max(own, 500)


async def test_memory_of_many_processes_is_added_up(keeper: link.Keeper) -> None:
    async with opened(keeper, memory_bytes=200 * MIB) as session:
        result = await session.run(
            f"""
            import os, signal, sys, time
            children = []
            for _ in range(8):
                pid = os.fork()
                if pid == 0:
                    held = b"x" * {60 * MIB}
                    time.sleep(1000)
                children.append(pid)
            print([os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1])])
            """,
            timeout=60,
        )
        # The kernel takes one of the children, or the interpreter; never do all eight get their 60 MiB.
        assert result.outcome.status == "out_of_memory" or result.stdout == "[-9]\n"


async def test_a_killed_child_is_the_codes_own_affair(keeper: link.Keeper) -> None:
    if not has_cgroups(keeper):
        async with opened(keeper, memory_bytes=100 * MIB) as session:
            result = await session.run("x = bytearray(300 * 2**20)")
            assert result.outcome.status in ("out_of_memory", "raised")
        return
    async with opened(keeper, memory_bytes=100 * MIB) as session:
        code = """
            import subprocess, sys
            print(subprocess.run([sys.executable, "-c", "x = b'x' * (300 * 2**20)"]).returncode)
        """
        result = await session.run(code, timeout=60)
        assert (result.outcome.status, result.stdout) == ("completed", "-9\n")


async def test_memory_of_an_earlier_run_is_not_of_this_one(keeper: link.Keeper) -> None:
    async with opened(keeper, memory_bytes=100 * MIB) as session:
        for _ in range(2):
            await session.run("x = b'x' * (300 * 2**20)", timeout=60)
        result = await session.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert (result.outcome.status, result.outcome.reason) == ("crashed", "SIGKILL")


# -- processes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignores", ["", _IGNORES])
async def test_a_fork_bomb_is_bounded_and_ends_with_its_time(
    started: Started, keeper: link.Keeper, ignores: str
) -> None:
    before = len(started.processes())
    counts: list[int] = []
    async with opened(keeper, pids=24) as session, anyio.create_task_group() as tasks:

        async def elsewhere() -> None:
            async with opened(keeper) as other:
                for number in range(5):
                    assert await other.says(f"print({number})") == str(number)
                    counts.append(len(started.processes()) - before)

        tasks.start_soon(elsewhere)
        bomb = f"{ignores}import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\n"
        result = await session.run(bomb, timeout=3)
        assert result.outcome.status == "timed_out"
    # 24 and the pid 1 of the bomb's box, and the other session
    assert max(counts) <= 24 + 1 + 3
    await until(lambda: len(started.processes()) <= before)


async def test_threads_count_as_processes(keeper: link.Keeper) -> None:
    async with opened(keeper, pids=16) as session:
        result = await session.run(
            """
            import threading
            stop, count = threading.Event(), 0
            try:
                while count < 100:
                    threading.Thread(target=stop.wait, daemon=True).start()
                    count += 1
            except RuntimeError as error:
                print(error)
            print(count < 20)
            stop.set()
            """
        )
        assert result.stdout == "can't start new thread\nTrue\n"


# -- disk --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("directory", ["/files/work", "/tmp", "/dev/shm"])
async def test_a_full_disk(keeper: link.Keeper, directory: str) -> None:
    async with opened(keeper, disk_bytes=4 * MIB) as session:
        result = await session.run(
            f"""
            for number in range(20):
                with open(f"{directory}/{{number}}", "wb", buffering=0) as file:
                    for _ in range(4):
                        file.write(bytes(256 * 1024))
            """
        )
        assert (result.outcome.status, result.outcome.reason) == ("disk_full", "disk_bytes")
        assert "[Errno 28]" in result.stderr
        code = f"import os\nfor n in os.listdir('{directory}'): os.unlink('{directory}/' + n)"
        assert (await session.run(f"{code}\nopen('x', 'w').write('y')")).outcome.status == "completed"


async def test_places_share_one_disk(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=4 * MIB) as session:
        for directory in ("/tmp", "/dev/shm", "/files/work"):
            code = f"open('{directory}/x', 'wb', buffering=0).write(bytes({3 * MIB // 2}))"
            result = await session.run(code)
        assert result.outcome.status in ("disk_full", "completed")
        free = await session.value("import os; s = os.statvfs('/tmp'); print(s.f_bfree * s.f_bsize)")
        assert free < MIB
        result = await session.run(f"open('/tmp/y', 'wb', buffering=0).write(bytes({MIB}))")
        assert (await session.value("import os; s = os.statvfs('/tmp'); print(s.f_bfree)")) == 0


async def test_files_without_content_are_bounded_too(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=1 * MIB) as session:
        result = await session.run("for i in range(100_000): open(f'/tmp/{i}', 'w').close()")
        assert result.outcome.status == "disk_full"
        assert "[Errno 28]" in result.stderr
        assert await session.value("import os; print(len(os.listdir('/tmp')))") < 2000


async def test_one_file_larger_than_the_disk(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=4 * MIB) as session:
        result = await session.run(f"open('x', 'wb').truncate({100 * MIB})")
        assert result.outcome.reason == "OSError"
        result = await session.run(
            f"import os; os.memfd_create('x'); os.ftruncate(os.memfd_create('y'), {100 * MIB})"
        )
        assert result.outcome.reason == "OSError"


async def test_a_full_disk_that_the_code_handles_is_no_failure(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=2 * MIB) as session:
        code = "try:\n  open('x', 'wb').write(bytes(10 * 2**20))\nexcept OSError: print('handled')"
        result = await session.run(code)
        assert (result.outcome.status, result.stdout) == ("completed", "handled\n")


# -- descriptors and the rest ------------------------------------------------------------------------------


async def test_rlimits(session: Session, keeper: link.Keeper) -> None:
    code = """
        import json, resource
        names = ("CORE", "NOFILE", "MEMLOCK", "SIGPENDING", "MSGQUEUE", "FSIZE")
        print(json.dumps({name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names
                          if hasattr(resource, "RLIMIT_" + name)}))
    """
    seen = await session.value(code)
    assert seen["CORE"] == [0, 0]
    assert seen["NOFILE"] == ([1024, 1024] if has_own_uids(keeper) else [256, 256])
    assert seen["MEMLOCK"] == [65536, 65536]
    assert seen["FSIZE"] == [512 * MIB, 512 * MIB]


async def test_descriptors_run_out_for_the_code_only(session: Session, keeper: link.Keeper) -> None:
    result = await session.run("held = []\nwhile True: held.append(open('/dev/null'))")
    assert result.outcome.reason == "OSError"
    assert "Too many open files" in result.stderr
    async with opened(keeper) as other:
        assert await other.says("print(1)") == "1"


async def test_limits_of_a_session_are_fixed(session: Session, keeper: link.Keeper) -> None:
    result = await session.run("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))")
    assert result.outcome.status == "raised"
    with pytest.raises(InvalidRequest, match="already"):
        await keeper.open(session.name, Limits())


# -- between runs ------------------------------------------------------------------------------------------

_WORKS = """
import os
def work():
    while True: os.getpid()
"""
_WAKES_ITSELF = """
import ctypes, signal
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("rest", ctypes.c_char * 64)]
event, timer = Event(None, signal.SIGCONT), ctypes.c_void_p()
libc = ctypes.CDLL(None, use_errno=True)
if libc.timer_create(1, ctypes.byref(event), ctypes.byref(timer)) == 0:
    libc.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 1_000_000, 0, 1_000_000), None)
libc.prctl(1, signal.SIGCONT)  # PR_SET_PDEATHSIG
"""


def _state(started: Started, before: set[int]) -> list[str]:
    """The states of those processes of the session that are not its pid 1, nor the warden on its way out."""
    seen = [status(pid) for pid in started.processes() - before]
    return [
        one["State"] for one in seen if one and one["NSpid"].split()[-1] != "1" and one["Name"] != "warden"
    ]


@pytest.mark.parametrize(
    "start",
    [
        "import threading; threading.Thread(target=work, daemon=True).start()",
        "if os.fork() == 0: work()",
        "if os.fork() == 0:\n  os.setsid(); os.fork(); work()",
        f"if os.fork() == 0:\n  exec({_WAKES_ITSELF!r})\n  work()",
    ],
)
async def test_between_runs_nothing_runs(started: Started, keeper: link.Keeper, start: str) -> None:
    before = started.processes()
    async with opened(keeper) as session:
        result = await session.run(f"{_WORKS}{start}\nimport time; time.sleep(0.1)")
        assert result.outcome.status == "completed", result.stderr
        for _ in range(50):
            states = _state(started, before)
            assert states
            assert [state for state in states if not state.startswith(("T", "Z"))] == []
            await anyio.sleep(0.005)
        assert await session.says("print('goes on')") == "goes on"


async def test_memory_that_no_process_maps_counts(keeper: link.Keeper) -> None:
    """A memfd is on no disk and, once written, in nobody's address space; 300 MiB of it are no 100 MiB of memory."""
    async with opened(keeper, memory_bytes=100 * MIB) as session:
        result = await session.run(
            """
            import os
            held = [os.memfd_create(str(number)) for number in range(3)]
            for fd in held:
                for _ in range(100):
                    os.write(fd, bytes(1024 * 1024))
            """,
            timeout=60,
        )
        assert result.outcome.status in ("out_of_memory", "raised")


async def test_memory_that_is_taken_bit_by_bit_counts(keeper: link.Keeper) -> None:
    """Each run is shorter than it takes to look; what they hold together is over the limit."""
    code = """
import os
held = os.open("/dev/shm/held", os.O_CREAT | os.O_RDWR)
os.unlink("/dev/shm/held")
os.posix_fallocate(held, 0, 24 * 2**20)
"""
    async with opened(keeper, memory_bytes=128 * MIB) as session:
        for _ in range(12):
            result = await session.run(code)
            if result.outcome.status != "completed":
                break
        assert (result.outcome.status, result.outcome.reason) == ("out_of_memory", "memory_bytes")
        assert await session.says("print('again')") == "again"


async def test_a_fork_bomb_that_raises_names_its_limit(keeper: link.Keeper) -> None:
    if not has_cgroups(keeper):
        pytest.skip("the kernel counts what it refused in a cgroup only")
    code = "import os, time\nfor _ in range(100):\n    if os.fork() == 0: time.sleep(60)"
    async with opened(keeper, pids=20) as session:
        result = await session.run(code, timeout=20)
        assert (result.outcome.status, result.outcome.reason) == ("raised", "BlockingIOError")
        assert result.outcome.limit is not None
        assert (result.outcome.limit.name, result.outcome.limit.value) == ("pids", 20)


async def test_a_working_directory_that_was_moved_is_made_again(session: Session) -> None:
    await session.run(
        "import os; open('kept', 'w').write('x'); os.rename('/files/work', '/files/w2'); os._exit(1)"
    )
    assert await session.says("import os; print(os.listdir('.'), os.listdir('/files/w2'))") == "[] ['kept']"
    await session.run(
        "import os; os.rename('/files/work', '/files/w3'); open('/files/work', 'w'); os._exit(1)"
    )
    assert await session.says("import os; print(os.getcwd())") == "/files/work"


async def test_a_working_directory_that_was_moved_and_has_no_room_for_another(keeper: link.Keeper) -> None:
    code = """
        import contextlib, os
        os.rename("/files/work", "/files/w2")
        with contextlib.suppress(OSError):
            for number in range(10_000):
                open(f"/files/{number}", "w").close()
        os._exit(1)
    """
    async with opened(keeper, disk_bytes=4 * MIB) as session:
        await session.run(code)
        lost = (await session.run("print(1)")).outcome
        assert lost.status == "lost"
        assert "moved or deleted its working directory" in lost.message
        assert lost.message.endswith(": it has the 1024 files that it may have.")


async def test_memory_that_is_taken_in_the_time_of_grace_ends_it(keeper: link.Keeper) -> None:
    code = """
import mmap, signal, time
held = []
def take(*_):
    for _ in range(40):
        piece = mmap.mmap(-1, 32 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        piece.madvise(23)  # MADV_POPULATE_WRITE
        held.append(piece)
        print(len(held) * 32, flush=True)
        time.sleep(0.02)
    time.sleep(30)
signal.signal(signal.SIGINT, take)
time.sleep(30)
"""
    async with opened(keeper, memory_bytes=128 * MIB) as session:
        result = await session.run(code, timeout=1)
        assert result.outcome.status in ("timed_out", "out_of_memory")
        assert "files are kept" not in result.outcome.message.partition("variables are lost")[0]
        held = [int(line) for line in result.stdout.split()]
        # A look takes a while at the level `limited`, and more is taken meanwhile.
        assert max(held, default=0) <= 128 + 10 * 32
        assert await session.says("print('again')") == "again"


async def test_what_a_guest_passes_on_holds_nobody_up(keeper: link.Keeper) -> None:
    """The last to close a socket that lingers waits for it, and that would be who reads the guest's messages."""
    code = """
        import array, os, socket, struct, time
        listening = socket.create_server(("127.0.0.1", 0))
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
        near.setblocking(False)
        try:
            while True: near.send(b"x" * 65536)
        except BlockingIOError: pass
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 10000))
        channel = socket.socket(fileno=os.dup(3))
        try: channel.sendmsg([b"\\x01"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [near.fileno()]))])
        except OSError: pass
        os._exit(7) if os.environ.get("LEAVES") else near.close()
        time.sleep(60)
    """
    async with opened(keeper) as hostile, opened(keeper) as other:
        with anyio.fail_after(40):
            for env in ({}, {"LEAVES": "1"}):
                result = await hostile.run(code, timeout=2, env=env)
                assert result.outcome.status in ("timed_out", "crashed", "exited"), result.stderr
                assert await other.says("print(1)") == "1"


async def test_what_a_session_holds_is_told_at_any_time(session: Session, keeper: link.Keeper) -> None:
    before = await keeper.use(session.name)
    assert before.memory_bytes < 40 * MIB
    code = "held = b'1' * 60_000_000; open('a', 'wb').write(held[:5_000_000]); sum(range(10**6))"
    await session.says(code)
    after = await keeper.use(session.name)
    assert after.memory_bytes > before.memory_bytes + 55_000_000
    assert after.disk_bytes >= 5_000_000
    assert after.pids >= 1
    assert after.cpu_seconds > before.cpu_seconds
    threads = (
        "import threading, time\nfor n in range(5): threading.Thread(target=time.sleep, args=(50,)).start()"
    )
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.run, f"{threads}\ntime.sleep(50)")
            while (await keeper.use(session.name)).pids < after.pids + 5:  # while the code runs
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()
    with pytest.raises(NotFound):
        await keeper.use("nobody")
