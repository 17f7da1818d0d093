"""An event loop with tasks, threads, child processes, servers on Unix sockets, signals and deadlines."""

import asyncio
import os
import signal
import sys
import tempfile


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


async def main() -> None:
    assert await asyncio.gather(*(asyncio.sleep(0.001, n) for n in range(50))) == list(range(50))
    assert await asyncio.to_thread(sum, range(100)) == 4950
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asyncio.to_thread(os.getpid))
    assert task.result() == os.getpid()
    arguments = (sys.executable, "-c", "print(input())")
    child = await asyncio.create_subprocess_exec(*arguments, stdin=-1, stdout=-1)
    assert (await child.communicate(b"hello\n"))[0] == b"hello\n"
    shell = await asyncio.create_subprocess_shell("exit 5")
    assert await shell.wait() == 5
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "echo.sock")
        async with await asyncio.start_unix_server(echo, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"line\n")
            assert await reader.readline() == b"line\n"
            writer.close()
            await writer.wait_closed()
    heard = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(heard.wait(), 20)
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        return
    raise AssertionError("no deadline")


asyncio.run(main())
print("ok")
