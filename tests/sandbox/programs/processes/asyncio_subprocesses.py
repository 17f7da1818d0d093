"""Starts programs from asyncio, talks to them over pipes, and kills one that takes too long."""

import asyncio
import signal
import sys


async def main():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-uc",
        "import sys\nfor line in sys.stdin: print(line.strip().upper())",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    for word in (b"one\n", b"two\n"):
        process.stdin.write(word)
        await process.stdin.drain()
        assert await process.stdout.readline() == word.upper()
    process.stdin.close()
    assert await process.wait() == 0

    shell = await asyncio.create_subprocess_shell(
        "echo out; echo err >&2; exit 3", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert await shell.communicate() == (b"out\n", b"err\n")
    assert shell.returncode == 3

    slow = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        await asyncio.wait_for(slow.wait(), 0.05)
    except TimeoutError:
        slow.terminate()
    assert await slow.wait() == -signal.SIGTERM

    many = [await asyncio.create_subprocess_exec("sh", "-c", f"exit {code}") for code in range(10)]
    assert await asyncio.gather(*(one.wait() for one in many)) == list(range(10))


asyncio.run(main())
print("done")
