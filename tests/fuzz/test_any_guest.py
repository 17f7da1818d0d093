"""Any guest, played by this process at the other end of the socket and the pipes: what the keeper makes of it.

A model of a dozen lines says what has to come out.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import hostile
from amounts import a_fraction
from hypothesis import given
from hypothesis import strategies as st

from belljar.frames import Decoder, Message, encode
from belljar.keeper import guests, runs
from belljar.keeper.guests import Guest
from belljar.keeper.runs import Run
from belljar.records import MAX_RUN_DISPLAY_BYTES, MAX_RUN_DISPLAYS, Limits

LIMITS = Limits(output_bytes=1024)
DEADLINE_SECONDS = 60
_RUN = 3

_KINDS = ("display_data", "execute_result", "update_display_data", "clear_output")
_sizes = st.integers(0, 40)
_good_displays = st.builds(
    lambda kind, sizes, number, more: Message(
        "display",
        {
            "type": kind,
            "number": number,
            "parts": [[f"text/{at}", size] for at, size in enumerate(sizes)],
            **more,
        },
        b"x" * sum(sizes),
    ),
    st.sampled_from(_KINDS),
    st.lists(_sizes, max_size=16),
    st.integers(0, 9) | hostile.json_values,
    st.sampled_from([{}, {"metadata": {"a": [1e9, None]}}, {"display_id": "d" * 100}]),
)
_bad_parts = st.one_of(
    hostile.json_values.filter(lambda parts: parts != []),
    st.just([["text/plain", 1]] * 17),
    st.lists(st.tuples(st.text(), st.integers(-9, 9)), min_size=1, max_size=4)
    .filter(lambda parts: sum(size for _, size in parts) != 0 or min(size for _, size in parts) < 0)
    .map(lambda parts: [list(part) for part in parts]),
    st.just([["x" * 101, 0]]),
)
_bad_displays = (
    st.builds(
        lambda parts: Message("display", {"type": "display_data", "parts": parts, "number": 1}), _bad_parts
    )
    | st.builds(
        lambda kind: Message("display", {"type": kind, "parts": [], "number": 1}),
        hostile.json_values.filter(lambda kind: kind not in _KINDS),
    )
    | st.builds(
        lambda more: Message("display", {"type": "display_data", "parts": [], "number": 1, **more}),
        st.sampled_from(
            [
                {"metadata": []},
                {"metadata": {"a": "x" * runs.MAX_METADATA_BYTES}},
                {"metadata": {"a": [1e9] * 2000}},
                {"display_id": "d" * 101},
                {"display_id": None},
            ]
        ),
    )
)
_charts = st.builds(
    lambda inode, body: Message("chart", {"inode": inode}, body), st.integers(0, 3), st.binary(max_size=20)
)
_bad_charts = st.builds(
    lambda inode: Message("chart", {"inode": inode}),
    hostile.json_values.filter(lambda inode: type(inode) is not int or inode < 0),
)
_largest = st.builds(lambda body: Message("largest", {}, body), st.binary(max_size=20))
_bad_largest = st.builds(
    lambda more: Message("largest", {}, bytes(runs.MAX_LARGEST_BYTES + more)), st.integers(1, 9)
)
_ends = st.builds(lambda head, body: Message("finished", head, body), hostile.finished, hostile.descriptions)
_own_end = st.builds(
    lambda head, body: Message("finished", {**head, "run": _RUN}, body),
    hostile.finished,
    hostile.descriptions,
)
_started = st.builds(lambda run: Message("started", {"run": run}), st.integers(0, 5) | hostile.json_values)
_foreign = st.builds(
    Message,
    # The last four fit a run that has calls and tools, which this one has not.
    st.sampled_from("|ready|open|execute|answer|error|stream|exit|shown|said|called|ask|reply".split("|")),
    hostile.heads,
    st.binary(max_size=20),
)
_broken = st.sampled_from(
    [b"\xff" * 8, b"\1\0\0\0\xff\xff\xff\xff", hostile.frame(2, b"x"), hostile.frame(1, b"[")]
)


@dataclass
class Says:
    """Something on the control socket; `is_shown` where it is a display, or a chart in a file, and in order."""

    message: Message | bytes
    is_shown: bool = False


@dataclass
class Writes:
    """Something on one of the pipes."""

    name: str
    data: bytes


Act = Says | Writes
_acts: st.SearchStrategy[Act] = st.one_of(
    _good_displays.map(lambda message: Says(message, is_shown=True)),
    _started.map(Says),
    _largest.map(lambda message: Says(message, is_shown=True)),
    _charts.map(lambda message: Says(message, is_shown=True)),
    _ends.map(Says),
    st.builds(lambda number: Says(Message("settle", {"number": number})), st.integers(0, 9)),
    st.builds(
        Writes, st.sampled_from(["stdout", "stderr"]), st.binary(max_size=600) | st.text().map(str.encode)
    ),
)
_last_acts: st.SearchStrategy[Act] = st.one_of(
    _own_end, _bad_displays, _bad_charts, _bad_largest, _foreign, _broken
).map(Says)


@dataclass
class Expected:
    """The model: what follows from a list of acts, the last of which ends the run in any case."""

    displays: list[Message] = field(default_factory=list)
    charts: dict[int, bytes] = field(default_factory=dict)
    largest: str | None = None
    finished: Message | None = None
    text: dict[str, bytes] = field(default_factory=lambda: {"stdout": b"", "stderr": b""})
    has_started: bool = False

    def take(self, act: Act) -> bool:
        """True when the run is over."""
        if isinstance(act, Writes):
            self.text[act.name] += act.data
            return False
        message = act.message
        if isinstance(message, bytes):
            return True
        if message.kind == "started":
            self.has_started |= message.head["run"] == _RUN
        elif message.kind == "settle":
            return False
        elif act.is_shown and message.kind == "chart":
            self.charts[message.head["inode"]] = message.body
        elif act.is_shown and message.kind == "largest":
            self.largest = message.body.decode("utf-8", "replace")
        elif act.is_shown:
            names = [n for n in ("type", "parts", "metadata", "display_id") if n in message.head]
            self.displays.append(Message("display", _only(message.head, *names), message.body))
        elif message.kind != "finished" or message.head.get("run") == _RUN:
            if message.kind == "finished" and len(message.body) <= guests.MAX_FINISHED_BYTES:
                self.finished = message
            return True
        return False


def _only(head: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: head[name] for name in names}


@dataclass
class Played:
    """A guest of the keeper's with this process in it."""

    guest: Guest
    control: socket.socket
    pipes: dict[str, int]
    emitted: list[Message]


@asynccontextmanager
async def played() -> AsyncIterator[Played]:
    emitted: list[Message] = []

    async def emit(message: Message) -> None:
        encode(message)
        emitted.append(message)

    async with AsyncExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.callback(theirs.close)
        theirs.setblocking(False)
        pipes, ends = {}, []
        for name in ("stdout", "stderr"):
            read, pipes[name] = os.pipe()
            stack.callback(os.close, pipes[name])
            ends.append(read)
        guest = Guest(1, os.pidfd_open(os.getpid()), ours, *ends)
        guest.ready.set()
        faults: list[Exception] = []
        guest.serve(faults.append)
        guest.begin(Run(_RUN, emit, LIMITS))
        stack.callback(guest.close)
        yield Played(guest, theirs, pipes, emitted)
        assert not faults


async def speak(played: Played, data: bytes) -> None:
    """Send it all, and take away what is answered, so that neither end has to wait for long."""
    view = memoryview(data)
    while view:
        try:
            view = view[played.control.send(view) :]
        except BlockingIOError:
            await anyio.wait_writable(played.control)
        except OSError:
            return  # the keeper has hung up


def run(test: Any, *arguments: Any) -> None:
    async def bounded() -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            await test(*arguments)

    anyio.run(bounded)


@a_fraction(2)
@given(st.lists(_acts, max_size=12), _last_acts)
def test_what_is_told_is_what_the_model_says(acts: list[Act], last: Act) -> None:
    run(_compare, [*acts, last])


async def _compare(acts: list[Act]) -> None:
    expected = Expected()
    async with played() as here:
        assert here.guest.run is not None
        run = here.guest.run
        for act in acts:
            is_over = expected.take(act)
            if isinstance(act, Writes):
                os.write(here.pipes[act.name], act.data)
            else:
                await speak(here, act.message if isinstance(act.message, bytes) else encode(act.message))
            if is_over:
                break
        await run.attention.wait()
        assert run.started.is_set() or not expected.has_started
        if expected.finished is None:
            assert (run.stop, run.finished, here.guest.is_spent) == ("protocol", None, True)
        else:
            assert (run.stop, here.guest.is_spent) == (None, False)
            # What was printed before the end was told belongs to the run.
            assert run.finished == {**expected.finished.head, "body": expected.finished.body}
            for name, data in expected.text.items():
                assert run.captures[name].total_bytes == len(data)
        assert [message for message in here.emitted if message.kind == "display"] == expected.displays
        assert run.charts == expected.charts
        assert run.largest == expected.largest
        shown = "".join(
            m.body.decode() for m in here.emitted if m.kind == "stream" and m.head["name"] == "stdout"
        )
        assert (
            expected.text["stdout"]
            .decode("utf-8", "replace")
            .startswith(shown.rstrip("\N{REPLACEMENT CHARACTER}"))
        )


@a_fraction(4)
@given(
    hostile.streams(),
    st.binary(max_size=3000),
    st.sampled_from(["close", "shut", "shut both", "oob", "stay"]),
)
def test_any_bytes_and_any_way_to_hang_up_leave_the_keeper_well(stream: bytes, text: bytes, way: str) -> None:
    run(_hang_up, stream, text, way)


async def _hang_up(stream: bytes, text: bytes, way: str) -> None:
    async with played() as here:
        assert here.guest.run is not None
        run = here.guest.run
        os.write(here.pipes["stdout"], text)
        if way == "shut":
            here.control.shutdown(socket.SHUT_RD)
        await speak(here, stream)
        if way == "oob":
            with_urgency(here.control)
        elif way == "close":
            here.control.close()
        elif way == "shut both":
            here.control.shutdown(socket.SHUT_RDWR)
        # The zygote's word ends the run whatever the guest has said, and the last words are taken in.
        here.guest.end(-9, 0.5)
        await run.attention.wait()
        here.guest.flush()
        assert run.stop in (None, "protocol", "output_exceeded")
        assert run.captures["stdout"].total_bytes == len(text)
        await here.guest.send(encode(Message("execute", {}, bytes(10**6))))  # returns, for nobody reads it


def with_urgency(sock: socket.socket) -> None:
    """A byte out of band, where the kernel has that for Unix sockets."""
    try:
        sock.send(b"!", socket.MSG_OOB)
    except OSError:
        return


@a_fraction(10)
@given(st.integers(1, 40), st.integers(0, 3), st.binary(min_size=1, max_size=400))
def test_whoever_sends_descriptors_gives_them_away(count: int, empty: int, data: bytes) -> None:
    run(_give_away, count, empty, data)


async def _give_away(count: int, empty: int, data: bytes) -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with played() as here:
        assert here.guest.run is not None
        null = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{count}i", *null))]
        for _ in range(empty):
            here.control.sendmsg([encode(Message("finished", {"run": -1}))], rights)
        here.control.sendmsg([encode(Message("finished", {"run": _RUN}, data))], rights)
        for fd in null:
            os.close(fd)
        await here.guest.run.attention.wait()
        assert here.guest.run.finished == {"run": _RUN, "body": data}
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # one is the listing's own


def test_who_does_not_listen_is_waited_for_and_harms_nobody() -> None:
    run(_be_deaf)


async def _be_deaf() -> None:
    display = encode(Message("display", {"type": "display_data", "parts": [], "number": 10**4000}))
    async with played() as deaf, played() as other:
        assert other.guest.run is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak, deaf, display * 2000)
            while len(deaf.emitted) < 20:
                await anyio.lowlevel.checkpoint()
            await speak(other, encode(Message("finished", {"run": _RUN})))
            await other.guest.run.attention.wait()
            deaf.guest.end(-9, 0.0)
            assert deaf.guest.run is not None
            await deaf.guest.run.attention.wait()
            tasks.cancel_scope.cancel()
        assert len(deaf.emitted) <= MAX_RUN_DISPLAYS


@a_fraction(4)
@given(st.lists(st.integers(0, 300_000), min_size=200, max_size=400))
def test_displays_are_bounded_in_number_and_in_bytes(sizes: list[int]) -> None:
    run(_show_all, sizes)


async def _show_all(sizes: list[int]) -> None:
    async with played() as here:
        assert here.guest.run is not None
        run = here.guest.run
        answers = Decoder(1000)
        for size in sizes:
            head = {"type": "display_data", "parts": [["image/png", size]], "number": 1}
            await speak(here, encode(Message("display", head, bytes(size))))
            while here.guest.run.stop is None:
                await anyio.wait_readable(here.control)
                if list(answers.feed(here.control.recv(65536))):
                    break
        await speak(here, encode(Message("finished", {"run": _RUN})))
        await run.attention.wait()
        shown = [len(message.body) for message in here.emitted]
        assert len(shown) <= MAX_RUN_DISPLAYS
        assert sum(shown) <= MAX_RUN_DISPLAY_BYTES
        if run.stop is None:
            assert len(shown) + run.displays_left_out == len(sizes)
