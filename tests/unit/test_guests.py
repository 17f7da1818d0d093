"""A guest that stops itself late, as one whose processors are used up does, is let go on as often as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import anyio

from belljar.frames import Message
from belljar.keeper.guests import Guest
from belljar.keeper.runs import Run
from belljar.kernel import STACK_SIGNAL
from belljar.records import Limits

SLOW = """
import os, signal
os.read(0, 1)
signal.raise_signal(signal.SIGSTOP)
print("it begins", flush=True)
"""


async def _nobody(message: Message) -> None:
    pass


@contextlib.contextmanager
def guest_of(pid: int) -> Iterator[Guest]:
    ours, theirs = socket.socketpair()
    ends = [os.pipe(), os.pipe()]
    guest = Guest(1, os.pidfd_open(pid), ours, *(reading for reading, _ in ends))
    try:
        guest.serve(lambda error: None)
        yield guest
    finally:
        guest.close()
        theirs.close()
        for _, writing in ends:
            os.close(writing)


ASKED = f"""
import faulthandler, os
faulthandler.register({STACK_SIGNAL}, file=2, all_threads=False, chain=False)
def waits_here():
    os.write(1, b"x")
    os.read(0, 1)
waits_here()
"""


def test_who_is_asked_where_it_is_keeps_nobody_waiting() -> None:
    async def ask(program: subprocess.Popen[bytes], guest: Guest) -> None:
        assert program.stdout is not None
        program.stdout.read(1)
        guest.serve(lambda error: None)
        guest.begin(Run(1, _nobody, Limits()))
        with anyio.fail_after(20):
            while "waits_here" not in guest.place():
                guest.ask_for_place()
                await asyncio.sleep(0.1)
        guest.leave()

    ours, theirs = socket.socketpair()
    (printed, unused), (reading, writing) = os.pipe(), os.pipe()
    with (
        theirs,
        subprocess.Popen(
            [sys.executable, "-c", ASKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writing
        ) as program,
    ):
        os.close(writing)
        guest = Guest(1, os.pidfd_open(program.pid), ours, printed, reading)
        try:
            asyncio.run(ask(program, guest))
        finally:
            guest.close()
            os.close(unused)
            program.kill()


def test_who_was_stopped_before_it_stopped_itself_goes_on_twice() -> None:
    async def stop_and_begin(program: subprocess.Popen[bytes]) -> None:
        assert program.stdin is not None
        assert program.stdout is not None
        with guest_of(program.pid) as guest:
            with anyio.fail_after(20):
                while not await guest.stop_alone():
                    pass  # on a busy machine it may take its time
            run = Run(1, _nobody, Limits())
            guest.begin(run)
            program.stdin.write(b"x")
            program.stdin.flush()
            guest.go_on()
            with anyio.fail_after(20):
                while not guest.stat.is_stopped():
                    await asyncio.sleep(0.001)
                guest.see_it_begin(run)
                await anyio.wait_readable(program.stdout)
            guest.leave()

    with subprocess.Popen(
        [sys.executable, "-c", SLOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        try:
            asyncio.run(stop_and_begin(program))
        finally:
            program.kill()
