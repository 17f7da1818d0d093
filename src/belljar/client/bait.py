"""What a hostile program is told about and must not reach: files, sockets and a process. Standard library only.

Everything is planted by the process that enters the block, with its rights and in its network namespace, and is gone
at the block's end. Who reaches a socket is told the secret, and is noted.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

_UNTOUCHED = "nobody has written here\n"
_WAIT_SECONDS = 10
LOOPBACK = ("127.0.0.1", "::1")


class Bait:
    """The bait of one try. A context manager.

    Listens at each of `addresses` that this machine has, on each of `ports` (0 for a free one).
    """

    def __init__(self, addresses: Sequence[str] = LOOPBACK, ports: Sequence[int] = (0,)) -> None:
        self.secret = f"bait-{secrets.token_hex(16)}"
        self._addresses = addresses
        self._ports = ports
        self._met: list[str] = []
        """Who came to a socket."""
        self._stack = contextlib.ExitStack()
        self._is_over = False
        self._asked, self._looked = threading.Event(), threading.Event()

    def __enter__(self) -> Bait:
        with contextlib.ExitStack() as stack:
            self._place = Path(tempfile.mkdtemp(prefix="bait-"))
            stack.callback(shutil.rmtree, self._place, ignore_errors=True)
            self._plant_files()
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._open_sockets(stack)
            self._victim = self._start_victim(stack)
            self._wake, self._woken = socket.socketpair()
            stack.callback(self._woken.close)
            stack.callback(self._wake.close)
            self._selector.register(self._woken, selectors.EVENT_READ, "wake")
            thread = threading.Thread(target=self._serve, name="bait", daemon=True)
            thread.start()
            stack.callback(self._stop, thread)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def told(self) -> str:
        """The text of $BAIT."""
        return json.dumps(
            {
                "secret_file": str(self._secret_file),
                "open_file": str(self._open_file),
                "open_directory": str(self._open_directory),
                "socket": str(self._place / "socket"),
                "abstract_socket": self._abstract,
                "tcp": self._tcp,
                "udp": self._udp,
                "pid": self._victim.pid,
                "uid": os.getuid(),
            }
        )

    def harmed(self) -> list[str]:
        """What is not what it was."""
        self._look()
        return [*self._met, *self._changed_files(), *self._victims_state()]

    # -- planting ------------------------------------------------------------------------------------------

    def _plant_files(self) -> None:
        self._place.chmod(0o755)
        self._secret_file = self._place / "secret"
        self._secret_file.write_text(f"{self.secret}\n")
        self._secret_file.chmod(0o444)
        self._open_file = self._place / "open"
        self._open_file.write_text(_UNTOUCHED)
        self._open_file.chmod(0o666)
        self._open_directory = self._place / "anybody"
        self._open_directory.mkdir()
        self._open_directory.chmod(0o777)

    def _open_sockets(self, stack: contextlib.ExitStack) -> None:
        self._abstract = f"bait-{secrets.token_hex(8)}"
        for address in (str(self._place / "socket"), f"\0{self._abstract}"):
            self._listen(stack, socket.AF_UNIX, socket.SOCK_STREAM, address, f"Unix socket {address!r}")
        (self._place / "socket").chmod(0o777)
        self._tcp: list[list[str | int]] = []
        self._udp: list[list[str | int]] = []
        for host in self._addresses:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            for port in self._ports:
                for kind, told in ((socket.SOCK_STREAM, self._tcp), (socket.SOCK_DGRAM, self._udp)):
                    name = "TCP" if kind == socket.SOCK_STREAM else "UDP"
                    try:
                        sock = self._listen(stack, family, kind, (host, port), f"{name} at {host}")
                    except OSError:
                        continue  # not an address of this machine, as ::1 where IPv6 is off
                    told.append([host, sock.getsockname()[1]])

    def _listen(
        self, stack: contextlib.ExitStack, family: int, kind: int, address: str | tuple[str, int], name: str
    ) -> socket.socket:
        with contextlib.ExitStack() as own:
            sock = own.enter_context(socket.socket(family, kind))
            sock.setblocking(False)
            sock.bind(address)
            if kind == socket.SOCK_STREAM:
                sock.listen(64)
            stack.push(own.pop_all())
        self._selector.register(sock, selectors.EVENT_READ, name)
        return sock

    def _start_victim(self, stack: contextlib.ExitStack) -> subprocess.Popen[bytes]:
        # It waits for us on its standard input: should we be killed, it ends. Its memory knows the secret too.
        victim = subprocess.Popen(
            ["cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={"PATH": os.defpath, "SECRET": self.secret},
        )
        stack.push(victim)
        stack.callback(victim.kill)
        return victim

    # -- who came, and what has changed --------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._is_over:
            is_asked = self._asked.is_set()
            for key, _ in self._selector.select(0 if is_asked else None):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if key.data == "wake":
                    self._woken.recv(1)
                    continue
                with contextlib.suppress(OSError):
                    self._meet(sock, key.data)
            if is_asked:
                # All that had come before we were asked has been seen now.
                self._asked.clear()
                self._looked.set()

    def _meet(self, sock: socket.socket, name: str) -> None:
        if sock.type == socket.SOCK_DGRAM:
            data, peer = sock.recvfrom(65536)
            self._met.append(f"{len(data)} bytes came to the bait's {name} from {peer[0]}")
            return
        visitor, _ = sock.accept()
        with visitor:
            self._met.append(f"somebody connected to the bait's {name}")
            visitor.setblocking(False)
            visitor.send(f"{self.secret}\n".encode())

    def _look(self) -> None:
        self._looked.clear()
        self._asked.set()
        self._wake.send(b"w")
        if not self._looked.wait(_WAIT_SECONDS):
            raise TimeoutError("the bait's own thread does not answer")

    def _stop(self, thread: threading.Thread) -> None:
        self._is_over = True
        self._wake.send(b"w")
        thread.join()

    def _changed_files(self) -> list[str]:
        changed = []
        for path, text in ((self._secret_file, f"{self.secret}\n"), (self._open_file, _UNTOUCHED)):
            try:
                if path.read_text(errors="replace") != text:
                    changed.append(f"the bait's file {path.name!r} was changed")
            except OSError as error:
                changed.append(f"the bait's file {path.name!r}: {error.strerror}")
        names = {"secret", "open", "anybody", "socket"}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            changed += [f"{name!r} is in the bait's directory" for name in os.listdir(self._open_directory)]
            names -= set(os.listdir(self._place))
        return changed + [f"the bait's {name!r} is gone" for name in sorted(names)]

    def _victims_state(self) -> list[str]:
        if (code := self._victim.poll()) is not None:
            return [f"the bait's process is dead ({code})"]
        with open(f"/proc/{self._victim.pid}/stat") as file:
            state = file.read().rpartition(") ")[2][0]
        return [f"the bait's process is in state {state}"] if state in "Tt" else []
