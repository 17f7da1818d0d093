"""Serves and connects asyncio streams over a Unix socket in a file, with many clients at once.

Not at: reduced - there are no sockets but socketpair
"""

import asyncio
import os
import socket


async def answer(reader, writer):
    while line := await reader.readline():
        writer.write(line[::-1])
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask(number):
    reader, writer = await asyncio.open_unix_connection("/tmp/asyncio.sock")
    writer.write(f"{number}abc\n".encode())
    writer.write_eof()
    text = await reader.read()
    writer.close()
    await writer.wait_closed()
    return text


async def main():
    server = await asyncio.start_unix_server(answer, "/tmp/asyncio.sock")
    async with server:
        answers = await asyncio.wait_for(asyncio.gather(*map(ask, range(40))), 30)
    assert answers == [f"\ncba{str(number)[::-1]}".encode() for number in range(40)]
    os.unlink("/tmp/asyncio.sock")

    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    theirs.setblocking(False)
    await asyncio.get_running_loop().sock_sendall(theirs, b"by a pair\n")
    assert await reader.readline() == b"by a pair\n"
    writer.close()
    theirs.close()


asyncio.run(main())
print("done")
