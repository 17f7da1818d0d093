"""Waits for many descriptors at once with select, poll, epoll and selectors, and for eventfds."""

import os
import select
import selectors
import signal
import socket

pipes = [os.pipe() for _ in range(10)]
reads = [read for read, _ in pipes]
assert select.select(reads, [], [], 0) == ([], [], [])
os.write(pipes[3][1], b"x")
os.write(pipes[7][1], b"x")
expected = [reads[3], reads[7]]
assert select.select(reads, [], [], 5)[0] == expected

poll, epoll = select.poll(), select.epoll()
for read in reads:
    poll.register(read, select.POLLIN)
    epoll.register(read, select.EPOLLIN | select.EPOLLET)
assert sorted(fd for fd, _ in poll.poll(5000)) == expected
assert sorted(fd for fd, _ in epoll.poll(5)) == expected
assert epoll.poll(0) == []  # edges are told once
os.close(pipes[0][1])
assert epoll.poll(5) == [(reads[0], select.EPOLLHUP)]
epoll.close()

ours, theirs = socket.socketpair()
for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
    with kind() as selector:
        selector.register(ours, selectors.EVENT_READ, data="ours")
        selector.register(theirs, selectors.EVENT_WRITE, data="theirs")
        assert [key.data for key, _ in selector.select(5)] == ["theirs"]
        theirs.send(b"x")
        assert {key.data for key, _ in selector.select(5)} == {"ours", "theirs"}
        assert ours.recv(1) == b"x"

event = os.eventfd(0, os.EFD_NONBLOCK)
os.eventfd_write(event, 3)
os.eventfd_write(event, 4)
assert select.select([event], [], [], 5)[0] == [event]
assert os.eventfd_read(event) == 7

# A signal does not cut a wait short.
signal.signal(signal.SIGALRM, lambda *_: os.write(pipes[1][1], b"!"))
signal.setitimer(signal.ITIMER_REAL, 0.02)
assert select.select([reads[1]], [], [], 30)[0] == [reads[1]]
print("done")
