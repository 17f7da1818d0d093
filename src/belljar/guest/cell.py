"""Runs pieces of code, one after the other, in one namespace, and tells the keeper how each ended.

Everything here shares an interpreter with the user's code, which may change any of it. The keeper treats what
this file says as the user's own words: it is shown, and decides nothing.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import linecache
import os
import signal
import sys
import threading
import traceback
from collections import deque
from time import perf_counter
from types import CodeType, ModuleType
from typing import Any

from belljar.frames import Decoder, Message, encode
from belljar.guest import display
from belljar.guest.calls import Calls
from belljar.kernel import trim_heap

MAX_REQUEST_BYTES = 64 * 1024 * 1024
_MAX_TEXT = 256 * 1024
_MAX_TRACEBACK = 32 * 1024
_REHEARSED = "print('one', 2 * 3.5, end=' ')\nprint([4])\n"
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_IS_COROUTINE = 0x80  # inspect.CO_COROUTINE, of a module that most do without
_LONG_SECONDS = 0.1
"""A run that took so long does not notice the millisecond or two in which its heap is trimmed."""
# Without the conversions to and from enumerations: what is called for the first time in a guest is dear.
_set_handler = getattr(signal.signal, "__wrapped__", signal.signal)


class Guest:
    """The forked interpreter. Made in the zygote; `serve` runs what the keeper sends until it closes the socket, and
    never returns."""

    def __init__(self) -> None:
        self._control = -1
        self._temporary = ""
        self._pid = 0
        self._count = 0
        self._decoder = Decoder(MAX_REQUEST_BYTES)
        self._received: deque[Message] = deque()
        self._displaying = threading.RLock()
        self._displays = 0
        self._tools: Any = None
        """Those of the caller, while a run has some: see `client_tools`."""
        self._runner: Any = None
        """Of the code's `await` outside of functions: one event loop for all cells."""
        self._main = ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins  # the module, as in a script
        # By the line, so that a kill loses little, and so that what is shown while it runs is current.
        self._stdout, self._stderr = _text(1, "w"), _text(2, "w")
        self._stdin: io.TextIOWrapper | None = _text(0, "r")
        """Of the first run: what one has read ahead is not for the next."""

    def become(self, temporary: str) -> None:
        """Be from now on what the code takes the interpreter for. Files without a name are made in `temporary`."""
        self._temporary, self._pid = temporary, os.getpid()
        sys.modules["__main__"] = self._main
        sys.argv, sys.orig_argv = [""], [sys.executable]
        sys.path[:] = ["", *filter(None, sys.path)]
        sys.dont_write_bytecode = True
        sys.stdout = sys.__stdout__ = self._stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr  # type: ignore[misc]
        display.set_emit(self._display, self._tell_of_file)

    def serve(self, control: int, laps: dict[str, float]) -> None:
        """Run what comes by the socket `control`. SIGINT is ignored until there is code."""
        self._control = control
        self._send(Message("ready", {"laps": laps}))
        while True:
            message = self._receive()
            if message.kind != "execute":
                continue  # the word on a display that nobody waits for any more
            request = json.loads(message.body.decode())
            started = perf_counter()
            finished = self._run(request)
            finished.head["run"] = request["run"]
            if os.getpid() != self._pid:
                # A child that the code forked, and that came back here when the code ended.
                self._flush()
                os._exit(finished.head.get("return_code", 0) & 0xFF)
            if not request["is_last"] and perf_counter() - started > _LONG_SECONDS:
                trim_heap()  # from here on we may be stopped for long
            self._send(finished)

    def rehearse(self) -> None:
        """Before `serve`: run a little, so that the pages which a run writes to are ours by then.

        Nobody hears of it, and nothing is left of it.
        """
        null = os.open("/dev/null", os.O_RDWR)
        kept = os.dup(0), os.dup(1)
        try:
            os.dup2(null, 1)
            self._control = null
            request = {"run": 0, "code": _REHEARSED, "stdin": "", "env": {"OUTPUT_DIR": self._temporary}}
            message = Message("execute", {}, json.dumps(request).encode())
            for heard in self._decoder.feed(encode(message)):
                self._send(self._run(json.loads(heard.body.decode())))
        finally:
            for place, fd in enumerate(kept):
                os.dup2(fd, place)
            for fd in (null, *kept):
                os.close(fd)
        linecache.cache.pop(f"<cell {self._count}>", None)
        self._count = 0
        self._stdin = sys.stdin  # type: ignore[assignment]

    def _receive(self) -> Message:
        """The keeper's next message; ends the process where there is no keeper any more."""
        while not self._received:
            self._listen()
        return self._received.popleft()

    def _listen(self) -> None:
        """Read what the keeper says. Replies to the caller's tools go to them, all else waits for `_receive`."""
        data = os.read(self._control, 65536)
        if not data:
            os._exit(0)
        for message in self._decoder.feed(data):
            if message.kind != "reply":
                self._received.append(message)
            elif self._tools is not None:
                self._tools.take(message)

    def _send(self, message: Message) -> None:
        data = memoryview(encode(message))
        while data:
            data = data[os.write(self._control, data) :]

    def _display(self, kind: str, data: dict[str, bytes]) -> None:
        if os.getpid() != self._pid:
            return
        parts = [[mime, len(value)] for mime, value in data.items()]
        with self._displaying:
            self._displays += 1
            head = {"type": kind, "parts": parts, "number": self._displays}
            self._flush()  # what was printed before comes before
            self._send(Message("display", head, b"".join(data.values())))
            if threading.current_thread() is not threading.main_thread():
                return  # the main thread is the one that reads from the keeper
            # What is printed next comes after: it takes another way, and could be faster.
            while True:
                answer = self._receive()
                if answer.kind == "shown" and answer.head["number"] == self._displays:
                    return

    def _tell_of_file(self, inode: int, facts: bytes) -> None:
        if os.getpid() == self._pid:
            with self._displaying:
                self._send(Message("chart", {"inode": inode}, facts))

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr, self._stdout, self._stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue  # the code closed or replaced it

    def _run(self, request: dict[str, Any]) -> Message:
        env = request["env"]
        before = {name: os.environ.get(name) for name in env}
        try:
            for name, value in env.items():
                os.environ[name] = value
            _give_to_read(request["stdin"], self._temporary)
            sys.stdin, self._stdin = self._stdin or _text(0, "r"), None
            with contextlib.suppress(OSError):  # no space left, say: for the code to find, and to mend
                os.makedirs(env["OUTPUT_DIR"], exist_ok=True)
            _set_handler(signal.SIGINT, signal.default_int_handler)
            try:
                self._send(Message("started", {"run": request["run"]}))  # from here on SIGINT is heard
                files = os.path.dirname(os.path.dirname(env["OUTPUT_DIR"]))
                is_last, asked = request.get("is_last", True), request.get("charts")
                display.begin(request["run"], files, keeps=not is_last, asked=asked)
                if calls := request.get("calls"):
                    return self._with_calls(calls)
                if chart := request.get("chart"):
                    return self._draw_again(chart)
                return self._cell(request)
            finally:
                _set_handler(signal.SIGINT, signal.SIG_IGN)
        except BaseException as error:
            return self._raised(error)
        finally:
            self._flush()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def _with_calls(self, asked: list[dict[str, Any]]) -> Message:
        """Run shell commands and edits, side by side. How it ended each of them says itself."""
        calls = Calls(asked, self._send)
        try:
            calls.run()
        except KeyboardInterrupt as error:
            calls.end()
            return self._raised(error)
        finally:
            calls.close()
        return Message("finished", {"status": "completed", "return_code": 0})

    def _draw_again(self, asked: dict[str, Any]) -> Message:
        """Draw a chart of an earlier run. Raises LookupError where there is none."""
        from belljar.guest import figures

        self._display("display_data", figures.draw_again(asked))
        return Message("finished", {"status": "completed", "return_code": 0})

    def _cell(self, request: dict[str, Any]) -> Message:
        """Run Python code."""
        code = request["code"]
        self._count += 1
        filename = f"<cell {self._count}>"
        linecache.cache[filename] = (len(code), None, f"{code}\n".splitlines(keepends=True), filename)
        tools = request.get("tools")
        if tools:
            self._offer(tools)
        try:
            return self._with_figures(self._finished(code, filename))
        finally:
            if tools:
                self._tools.close()
                self._tools = None

    def _offer(self, tools: list[dict[str, str]]) -> None:
        """Make the caller's tools functions of the code's own namespace."""
        from belljar.guest.client_tools import ClientTools  # with asyncio, which most do without

        self._tools = ClientTools(self._control, self._send, self._listen)
        for tool in tools:
            self._main.__dict__[tool["name"]] = self._tools.function(tool["name"], tool["description"])

    def _finished(self, code: str, filename: str) -> Message:
        """Run the code, and say how it ended."""
        try:
            self._execute(code, filename)
        except SystemExit as error:
            return Message("finished", {"status": "exited", "return_code": self._exit_code(error)})
        except KeyboardInterrupt as error:
            display.drop_figures()  # there is no time left to draw them
            return self._raised(error)
        except BaseException as error:
            return self._raised(error)
        return Message("finished", {"status": "completed", "return_code": 0})

    def _with_figures(self, finished: Message) -> Message:
        """Show what was left open, however the code ended: it belongs to this run and to no other."""
        try:
            display.show_figures()
        except Exception as error:
            if finished.head["status"] == "completed":
                return self._raised(error)
            print(f"A figure could not be drawn: {error!r}", file=sys.stderr)
        return finished

    def _execute(self, code: str, filename: str) -> None:
        # Not ast.parse: a SyntaxError is to be raised from the user's code and not from a library's.
        tree: Any = compile(code, filename, "exec", ast.PyCF_ONLY_AST | _AWAIT, dont_inherit=True)
        last = tree.body[-1] if tree.body else None
        namespace = self._main.__dict__
        if isinstance(last, ast.Expr):
            tree.body.pop()
            body, value = _compile(tree, filename), _compile(ast.Expression(last.value), filename)
            self._evaluate(body)
            result = self._evaluate(value)
            if result is not None:
                namespace["_"] = result
                shown = display.bundle(result)
                self._display("execute_result", shown or {"text/plain": _clip(repr(result))})
        else:
            self._evaluate(_compile(tree, filename))

    def _evaluate(self, code: CodeType) -> Any:
        result = eval(code, self._main.__dict__)  # noqa: S307 - it is the user's code, in the user's jail
        if not code.co_flags & _IS_COROUTINE:
            return result
        if self._runner is None:
            import asyncio  # which most do without

            self._runner = asyncio.Runner()
        return self._runner.run(result)

    def _exit_code(self, error: SystemExit) -> int:
        if error.code is None:
            return 0
        if isinstance(error.code, int):
            return error.code & 0xFF
        print(error.code, file=sys.stderr)
        return 1

    def _raised(self, error: BaseException) -> Message:
        more: dict[str, Any] = {}
        try:
            described = _described(error)
            lines = "".join(described.format()).rstrip("\n").splitlines()
            value = str(error)
        except BaseException as second:  # an exception whose own methods raise
            lines, value = [f"{type(error).__name__} (and describing it raised {type(second).__name__})"], ""
        else:
            with contextlib.suppress(Exception):  # the plain traceback is told in any case
                from belljar.guest import faults  # which code that does not raise does without

                more = faults.described(error, described)
        text = "\n".join(lines)
        if len(text) > _MAX_TRACEBACK:
            half = _MAX_TRACEBACK // 2
            text = f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
        body = {
            "ename": type(error).__name__,
            "evalue": value[:_MAX_TRACEBACK],
            "traceback": text.splitlines(),
            **more,
        }
        told = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        return Message("finished", {"status": "raised", "return_code": 1}, told)


def _compile(tree: ast.Module | ast.Expression, filename: str) -> CodeType:
    mode = "exec" if isinstance(tree, ast.Module) else "eval"
    code = compile(tree, filename, mode, _AWAIT, dont_inherit=True)
    assert isinstance(code, CodeType)
    return code


def _described(error: BaseException) -> traceback.TracebackException:
    """The traceback from the user's first frame on."""
    described = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    part: traceback.TracebackException | None = described
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        # What called the user's code is of no interest, and neither is our own code below it.
        if any(frame.filename.startswith("<cell ") for frame in part.stack):
            while not part.stack[0].filename.startswith("<cell "):
                part.stack.pop(0)
        while part.stack and "inside.zip" in part.stack[0].filename:
            part.stack.pop(0)
        while part.stack and "inside.zip" in part.stack[-1].filename:
            part.stack.pop()
        part = part.__cause__ or part.__context__
    return described


def _clip(text: str) -> bytes:
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]}\n[... {len(text) - _MAX_TEXT} characters left out ...]"
    return text.encode("utf-8", "backslashreplace")


def _text(fd: int, mode: str) -> io.TextIOWrapper:
    stream = open(fd, mode + "b", buffering=-1, closefd=False)  # noqa: SIM115 - lives as long as the process
    return io.TextIOWrapper(
        stream, encoding="utf-8", errors="backslashreplace" if mode == "w" else "replace", line_buffering=True
    )


def _give_to_read(text: str, temporary: str) -> None:
    """Make `text`, or nothing, what is read from descriptor 0."""
    if text:
        fd = os.open(temporary, os.O_TMPFILE | os.O_RDWR)
        with open(fd, "wb", closefd=False) as file:
            file.write(text.encode("utf-8", "surrogatepass"))
        os.lseek(fd, 0, os.SEEK_SET)
    else:
        fd = os.open("/dev/null", os.O_RDONLY)
    os.dup2(fd, 0)
    os.close(fd)
