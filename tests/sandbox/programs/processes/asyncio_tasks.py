"""Runs tasks, timers, threads, a process pool and signal handlers on one asyncio loop.

Not at: reduced - the process pool's locks are semaphores in /dev/shm
"""

import asyncio
import concurrent.futures
import contextvars
import multiprocessing
import os
import signal
import threading

name = contextvars.ContextVar("name", default="nobody")


async def main():
    loop = asyncio.get_running_loop()
    assert await asyncio.gather(*(asyncio.sleep(0.01, n) for n in range(50))) == list(range(50))
    async with asyncio.TaskGroup() as tasks:
        results = [tasks.create_task(asyncio.sleep(0, n)) for n in range(3)]
    assert [task.result() for task in results] == [0, 1, 2]
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(60)
    except TimeoutError:
        timed_out = True
    assert timed_out
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(60))
            tasks.create_task(asyncio.to_thread(int, "x"))
    except* ValueError as group:
        assert len(group.exceptions) == 1

    name.set("somebody")
    assert await asyncio.to_thread(name.get) == "somebody"
    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert await loop.run_in_executor(pool, os.getpid) != os.getpid()

    heard = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, heard.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(heard.wait(), 30)
    assert loop.remove_signal_handler(signal.SIGUSR1)

    queue, lock = asyncio.Queue(2), asyncio.Lock()

    async def produce():
        for number in range(20):
            await queue.put(number)
        await queue.put(None)

    producer, seen = asyncio.create_task(produce()), []
    while (number := await queue.get()) is not None:
        async with lock:
            seen.append(number)
    await producer
    assert seen == list(range(20))

    called = asyncio.Event()
    loop.call_soon_threadsafe(called.set)
    await asyncio.wait_for(called.wait(), 30)
    read, write = os.pipe()
    readable = asyncio.Event()
    loop.add_reader(read, readable.set)
    os.write(write, b"x")
    await asyncio.wait_for(readable.wait(), 30)
    loop.remove_reader(read)

    async def numbers():
        for number in range(3):
            yield number
            await asyncio.sleep(0)

    assert [number async for number in numbers()] == [0, 1, 2]


asyncio.run(main(), debug=True)
print("done")
