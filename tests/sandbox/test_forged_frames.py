"""Code that speaks on the control socket itself: what it says is its own word, and never a fact."""

from __future__ import annotations

from pathlib import Path

import pytest
from jail import SPEAKING, Session, Started, opened, started, status, until

from belljar import link, results

pytestmark = pytest.mark.anyio

_SAY = f"""
{SPEAKING}
def wait():
    time.sleep(1000)
"""


async def forged(session: Session, code: str, timeout: float = 30) -> results.Result:
    return await session.run(_SAY + code, timeout=timeout)


@pytest.mark.parametrize(
    "code",
    [
        "say(b'hello')\nsay(b'x' * 8)\nwait()",
        "say(bytes(100))\nwait()",
        "say(os.urandom(100) + b'\\xff' * 8)\nwait()",
        "say(struct.pack('!B3sI', 1, bytes(3), 2**32 - 1))\nwait()",
        "say(struct.pack('!B3sI', 2, bytes(3), 10) + b'x' * 10)\nwait()",
        "say(frame(1, b'[' * 65536))\nwait()",
        "say(frame(1, b'{\"kind\":\"finished\",\"body\":' + b'9' * 60000 + b'}'))\nwait()",
        'say(frame(1, b\'{"kind":"finished","body":1e400}\'))\nwait()',
        'say(frame(1, b\'{"kind":"finished","body":0,"return_code":NaN}\'))\nwait()',
        "say(frame(1, json.dumps({'kind': 'display', 'body': 2**40}).encode()))\nwait()",
        "say(message('display', b'', type='execute_result', parts=[['text/plain', 5]]))\nwait()",
        "say(message('display', b'x', type='execute_result', parts=[['text/plain', 2], ['text/html', -1]]))\nwait()",
        "say(message('display', b'x', type='stream', parts=[['text/plain', 1]]))\nwait()",
        "say(message('display', b'x', type=['display_data'], parts={}))\nwait()",
        "say(message('chart', b'{}'))\nwait()",
        "say(message('chart', b'{}', inode='7'))\nwait()",
        "say(message('chart', b'{}', inode=True))\nwait()",
        "say(message('chart', b'{}', inode=-1))\nwait()",
    ],
)
async def test_what_is_no_message_ends_the_run_as_a_crash(
    session: Session, keeper: link.Keeper, code: str
) -> None:
    result = await forged(session, code)
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "protocol")
    async with opened(keeper) as other:
        assert await other.says("print('fine')") == "fine"
    assert await session.says("print('again')") == "again"


@pytest.mark.parametrize(
    "head",
    [
        {"status": "timed_out", "return_code": 124},
        {"status": "out_of_memory", "return_code": 137, "oom_kills": 5},
        {"status": "crashed", "return_code": 139, "exit_status": -11},
        {"status": "interrupted"},
        {"status": "lost"},
        {"status": "disk_full", "disk_is_full": True},
        {"status": "completed", "return_code": 99},
        {"status": "completed", "stop": "timed_out", "was_killed": True},
        {"status": "raised", "return_code": 0},
        {"status": "exited", "return_code": 7},
        {"status": "exited", "return_code": -5},
        {"status": "exited", "return_code": 10**300},
        {"status": "exited", "return_code": True},
        {"status": ["completed"]},
        {"status": None, "return_code": "0"},
        {},
    ],
    ids=str,
)
async def test_a_forged_end_is_the_codes_own_word(session: Session, head: dict[str, object]) -> None:
    """It may end its run early and say how, as code that raises or exits could; and nothing beyond that."""
    result = await forged(
        session, f"for run in range(1, 4): say(message('finished', run=run, **{head!r}))\nwait()", 3
    )
    assert result.outcome.status in ("completed", "raised", "exited", "timed_out")
    if result.outcome.status == "timed_out":
        assert result.usage.wall_seconds >= 3
    assert result.return_code in (0, 1, 7, 124)


async def test_a_forged_end_does_not_let_code_run_on(session: Session) -> None:
    """What goes on behind the end of its run has no time limit, so it must not go on."""
    code = """
for run in range(1, 4): say(message("finished", run=run, status="completed", return_code=0))
n = 0
while True:
    n += 1
    if n % 100_000 == 0:
        with open("/files/work/counter", "w") as file: file.write(str(n))
"""
    await forged(session, code, 2)
    result = await session.run("print('mine')", timeout=5)
    # The forger's own session may be confused by it, in any of these ways, and no other.
    assert result.outcome.status in ("completed", "timed_out", "crashed", "raised")


@pytest.mark.parametrize(
    "body",
    ["b'{'", "b'null'", "b'[' * 100_000", 'b\'{"ename": ["x"], "evalue": {}, "traceback": "abc"}\''],
)
async def test_a_forged_description_of_an_exception(session: Session, body: str) -> None:
    result = await forged(session, f"say(message('finished', {body}, run=1, status='raised'))\nwait()")
    assert (result.outcome.status, result.return_code) == ("raised", 1)
    assert len(result.outcome.reason) <= 200


async def test_a_forged_exception_is_text_of_bounded_length(session: Session) -> None:
    body = (
        "json.dumps({'ename': 'E' * 10**6, 'evalue': 'v' * 10**6, 'traceback': ['t' * 10**6] * 4}).encode()"
    )
    result = await forged(session, f"say(message('finished', {body}, run=1, status='raised'))\nwait()")
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "protocol")
    body = "json.dumps({'ename': 'E' * 50_000, 'evalue': 'v' * 50_000, 'traceback': ['t'] * 30_000}).encode()"
    result = await forged(session, f"say(message('finished', {body}, run=2, status='raised'))\nwait()")
    assert result.outcome.status == "raised"
    assert len(result.outcome.reason) <= 200
    assert len(result.stderr) <= 256 * 1024


async def test_what_the_keeper_holds_of_a_hostile_message_is_bounded() -> None:
    """A body of small JSON values takes many times its length when it is parsed."""
    async with started() as here, opened(here.keeper) as session:
        await session.run("1")
        before = int(status(here.pid)["VmHWM"].split()[0])
        for body in (
            "b'[' + b'[],' * 5_000_000 + b'[]]'",
            "b'{\"traceback\":[' + b'1,' * 8_000_000 + b'1]}'",
        ):
            code = (
                f"for run in range(1, 9): say(message('finished', {body}, run=run, status='raised'))\nwait()"
            )
            result = await forged(session, code, 20)
            assert result.outcome.status in ("raised", "crashed", "timed_out")
        grown = int(status(here.pid)["VmHWM"].split()[0]) - before
        assert grown < 150 * 1024, f"{grown // 1024} MiB"


async def test_a_flood_of_displays_is_bounded(session: Session, keeper: link.Keeper) -> None:
    code = """
for number in range(5000):
    say(message("display", b"x" * 100, type="display_data", parts=[["text/plain", 100]]))
"""
    result = await forged(session, code, 3)
    async with opened(keeper) as other:
        assert await other.says("print('fine')") == "fine"
    # Whoever does not read what the keeper answers to each is blocked in the end, and nobody else is.
    assert result.outcome.status in ("completed", "timed_out")
    assert len(result.outputs) <= 256


async def test_what_stands_in_many_places_is_bounded(session: Session) -> None:
    code = """
for number in range(256):
    say(message("display", b"a", type="display_data", parts=[["image/png", 1]], display_id="q"))
body = b"x" * 15 * 2**20
say(message("display", body, type="update_display_data", parts=[["image/png", len(body)]], display_id="q"))
"""
    result = await forged(session, code)
    assert result.outcome.status == "completed"
    sizes = [
        len(output.data["image/png"]) for output in result.outputs if isinstance(output, results.Display)
    ]
    assert sizes == [1] * 256
    assert result.displays_left_out == 1


async def test_large_displays_are_bounded(session: Session) -> None:
    code = """
body = b"x" * 15 * 2**20
for number in range(3):
    say(message("display", body, type="display_data", parts=[["image/png", len(body)]]))
"""
    result = await forged(session, code)
    assert result.outcome.status == "completed"
    assert len(result.outputs) == 2
    assert result.displays_left_out == 1
    result = await forged(session, code.replace("range(3)", "range(9)"))
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "protocol")
    assert len(result.outputs) == 2


@pytest.mark.parametrize(
    "said",
    [
        "message('ready', laps={'x': 1e300, 'y': 'z'})",
        "message('open', session='other')",
        "message('answer', id=1)",
        "message('error', id=1, error='KeeperLost')",
        "message('stream', b'text', name='stdout')",
        "message('exit', pid=1, status=0)",
        "message('')",
    ],
)
async def test_messages_of_other_channels_end_the_run(session: Session, said: str) -> None:
    result = await forged(session, f"say({said})\nwait()")
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "protocol")


async def test_a_flood_of_messages_ends_the_run(session: Session) -> None:
    result = await forged(session, "while True: say(message('finished', run=-1))")
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "protocol")


async def test_code_that_eats_the_next_request_harms_itself_only(
    session: Session, keeper: link.Keeper
) -> None:
    code = """
import threading
threading.Thread(target=lambda: [os.read(3, 65536) for _ in range(100)], daemon=True).start()
"""
    await forged(session, code)
    result = await session.run("print('eaten')", timeout=1)
    assert result.outcome.status in ("completed", "timed_out", "exited")
    async with opened(keeper) as other:
        assert await other.says("print('fine')") == "fine"
    await session.run("import os; os._exit(0)", timeout=1)
    assert await session.says("print('again')") == "again"


async def test_code_that_closes_or_shuts_the_socket(session: Session) -> None:
    for code in (
        "os.close(3)",
        "import socket; socket.socket(fileno=3).shutdown(2)",
        "os.dup2(1, 3)",
        "os.closerange(0, 1000)",
    ):
        result = await forged(session, code, 2)
        assert result.outcome.status in ("exited", "crashed", "timed_out", "completed", "lost")
        assert result.outcome.status != "completed"
        assert await session.says("print('again')") == "again"


async def test_descriptors_that_are_sent_are_refused_or_dropped(started: Started, session: Session) -> None:
    fds = Path(f"/proc/{started.pid}/fd")
    await session.run("1")  # for what is opened once in a session's life
    before = len(list(fds.iterdir()))
    code = """
import socket
sock = socket.socket(fileno=os.dup(3))
for _ in range(12):
    null = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
    try: socket.send_fds(sock, [message("finished", run=-1)], null)
    except PermissionError: pass  # since Linux 6.16
    for fd in null: os.close(fd)
print("sent")
"""
    result = await forged(session, code)
    assert result.stdout == "sent\n"
    await until(lambda: len(list(fds.iterdir())) <= before + 2)


async def test_output_pipes_cannot_be_turned_around(session: Session) -> None:
    code = """
import fcntl
try: fcntl.fcntl(1, 1031, 4096)  # F_SETPIPE_SZ
except OSError: pass
os.set_blocking(1, False)
try:
    print(os.read(os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK), 10))
except OSError as error:
    print("no", error.errno)
"""
    result = await forged(session, code)
    assert result.outcome.status == "completed"
    assert result.stdout in ("no 11\n", "no 13\n")


async def test_an_interpreter_that_ends_before_the_next_run_is_no_end_of_that_run(session: Session) -> None:
    code = """
from belljar.guest import cell
(guest,) = cell._here
guest._run = lambda request: os._exit(0)
"""
    assert (await forged(session, code)).outcome.status == "completed"
    result = await session.run("print('never')")
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "not_begun")
    assert result.return_code == 1
    assert result.stdout == ""
    assert await session.says("print('again')") == "again"
    # Here it has begun, and its word of that may come after the kernel's of its end.
    for _ in range(20):
        result = await session.run("import os; os._exit(0)")
        assert (result.outcome.status, result.return_code) == ("exited", 0)
