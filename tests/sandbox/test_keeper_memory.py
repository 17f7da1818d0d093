"""What the keeper holds of one session, whatever that sends: the most that its memory grows by, seen from outside."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from jail import SPEAKING, opened, started, status

from belljar.records import MIB

pytestmark = pytest.mark.anyio

BOUND_BYTES = 128 * MIB
"""Of one run: a display and what becomes of it on its way, and a listing of 20,000 entries."""

_SAY = f"""
{SPEAKING}
def drain():
    def listen():
        while os.read(3, 65536): pass
    threading.Thread(target=listen, daemon=True).start()
"""

FLOODS = {
    "one line without end": "while True: os.write(1, b'x' * 65536)",
    "bytes that are no text": "while True: os.write(2, b'\\xff\\x00' * 32768)",
    "lines of one byte": "for _ in range(1000): os.write(1, b'\\n' * 65536)",
    "16 MiB displays over and over": """
        drain()
        picture = message("display", bytes(16 * 2**20 - 1), type="display_data", parts=[["image/png", 16 * 2**20 - 1]])
        while True: say(picture)
    """,
    "displays in one byte each": """
        drain()
        while True: say(message("display", b"x", type="display_data", parts=[["x" * 100, 1]]) * 100)
    """,
    "displays that nobody hears the answers of": """
        picture = message("display", bytes(2**20), type="display_data", parts=[["image/png", 2**20]])
        while True: say(picture)
    """,
    "half a message": """
        say(message("display", bytes(16 * 2**20), type="display_data", parts=[["image/png", 16 * 2**20]])[:-10])
        time.sleep(2)
    """,
    "a body that is announced": """
        say(frame(1, json.dumps({"kind": "display", "body": 16 * 2**20}).encode()))
        say(frame(2, bytes(65536)) * 100 + frame(2, bytes(100), 65536))
        time.sleep(2)
    """,
    "heads that are large when they are parsed": """
        head = b'{"kind":"finished","run":-1,"body":0,"x":["\\\\u0000"' + b",[]" * 21_800 + b"]}"
        while True: say(frame(1, head))
    """,
    "an end that is large when it is parsed": """
        body = b'{"ename":"","evalue":"","traceback":[' + b"[]," * 87_000 + b"0]}"
        say(message("finished", body, run=2, status="raised"))
        time.sleep(2)
    """,
    "an end that is far too long": """
        say(message("finished", b"[" + b"[]," * 5_000_000 + b"0]", run=2, status="raised"))
        time.sleep(2)
    """,
    "descriptors": """
        import socket
        sock = socket.socket(fileno=os.dup(3))
        null = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
        for _ in range(500):
            socket.send_fds(sock, [message("finished", run=-1)], null)
    """,
    "more files than are listed": """
        for directory in range(50):
            os.mkdir(str(directory))
            for name in range(2000):
                os.close(os.open(f"{directory}/{name}", os.O_CREAT | os.O_WRONLY))
    """,
    "deep trees of long names": """
        name = b"\\xff" * 255
        for top in range(40):
            at = os.open(".", os.O_RDONLY)
            for depth in range(15):
                below = name[:-2] + b"%02d" % top
                try: os.mkdir(below, dir_fd=at)
                except OSError: break
                at, old = os.open(below, os.O_RDONLY, dir_fd=at), at
                os.close(old)
                for file in range(60):
                    try: os.close(os.open(name[:-4] + b"%04d" % file, os.O_CREAT | os.O_WRONLY, dir_fd=at))
                    except OSError: break
            os.close(at)
    """,
}


def _bytes(pid: int, field: str) -> int:
    return int(status(pid)[field].split()[0]) * 1024


@pytest.mark.parametrize("flood", FLOODS)
async def test_the_keeper_holds_no_more_of_a_session_than_its_bound(flood: str) -> None:
    async with started() as here, opened(here.keeper, disk_bytes=512 * MIB) as session:
        await session.run("pass")
        idle = _bytes(here.pid, "VmRSS")
        Path(f"/proc/{here.pid}/clear_refs").write_text("5")  # begins the peak anew
        result = await session.run(_SAY + textwrap.dedent(FLOODS[flood]), timeout=10)
        grown = (_bytes(here.pid, "VmHWM") - idle) / MIB
        assert grown * MIB < BOUND_BYTES, (grown, result.outcome)
        # And the session, or what is left of it, goes on.
        assert await session.says("print('alive')") == "alive"
