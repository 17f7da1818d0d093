"""Serves and connects asyncio streams and datagrams on the loopback addresses, fifty clients at once.

Not at: reduced - there are no sockets but socketpair
"""

import asyncio


async def answer(reader, writer):
    line = await reader.readline()
    writer.write(line * 2)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask(host, port, number):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"{number}\n".encode())
    text = await reader.read()
    writer.close()
    await writer.wait_closed()
    return text


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, _):
        self.received.set_result(data)


async def main():
    for host in ("127.0.0.1", "::1", "localhost"):
        async with await asyncio.start_server(answer, host, 0) as server:
            address = server.sockets[0].getsockname()
            asked = asyncio.gather(*(ask(address[0], address[1], number) for number in range(50)))
            answers = await asyncio.wait_for(asked, 30)
        assert answers == [f"{number}\n{number}\n".encode() for number in range(50)]
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    sender, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=transport.get_extra_info("sockname")
    )
    sender.sendto(b"datagram")
    assert await asyncio.wait_for(protocol.received, 30) == b"datagram"
    sender.close()
    transport.close()


asyncio.run(main())
print("done")
