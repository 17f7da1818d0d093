"""Runs pieces of code, one after the other, in one namespace, and tells the keeper how each ended.

Everything here shares an interpreter with the user's code, which may change any of it. The keeper treats what
this file says as the user's own words: it is shown, and decides nothing.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import json
import linecache
import os
import signal
import sys
import traceback
from collections import deque
from time import perf_counter
from types import CodeType, FrameType, ModuleType
from typing import Any

from belljar.frames import Message, encode
from belljar.guest import display, streams
from belljar.guest.calls import Calls
from belljar.guest.channel import Channel
from belljar.guest.displays import Displays, clip
from belljar.kernel import LARGEST_SIGNAL, trim_heap

_MAX_SETTLES = 1000
"""Of a run: how often its stderr waits for its stdout. Past that the two are told as they are read."""
_SETTLE_SECONDS = 1.0
"""For others to have their say before. Of these one could be a handler of a signal that waits for us."""
_KEPT_VALUES = 3
"""Of last expressions: `_`, `__` and `___`. They may be large."""
_PLAIN = frozenset({bool, int, float, complex, str, bytes, list, dict, tuple, set, frozenset, range})
"""Types whose values are their text, and no more."""
_MAX_TRACEBACK = 32 * 1024
_PREPARED = 20
"""Runs in the zygote: Python takes a function for one that is used often when it is called for the eighth time."""
_REHEARSED = "print('one', 2 * 3.5, end=' ')\nprint([4])\n"
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_IS_COROUTINE = 0x80  # inspect.CO_COROUTINE, of a module that most do without
_LONG_SECONDS = 0.1
"""A run that took so long does not notice the millisecond or two in which its heap is trimmed."""
# Without the conversions to and from enumerations: what is called for the first time in a guest is dear.
_set_handler = getattr(signal.signal, "__wrapped__", signal.signal)
_raise_signal = signal.raise_signal
_here: list[Guest] = []
"""The one that this process is."""


def hand_on_output() -> None:
    """Who starts a process hands on what is printed next, so that what was printed before comes before."""
    if _here:
        _here[0]._settle()


def get_ipython() -> Any:
    """The shell of this session: magics, shell commands, and the variables of its cells."""
    return _here[0].shell()


class Guest:
    """The forked interpreter. Made in the zygote; `serve` runs what the keeper sends until it closes the socket, and
    never returns."""

    def __init__(self) -> None:
        self._channel = Channel(self._take_reply)
        self._temporary = ""
        self.pid = 0
        self.count = 0
        self.displays = Displays(self)
        self._settles = 0
        self._is_weighing = False
        """The keeper may ask again before it has its answer."""
        self._values: deque[tuple[str, Any]] = deque()
        """Of last expressions, by the names that they have in the code's namespace."""
        self._shell: Any = None
        """What the code knows as get_ipython(), once it has asked for it: see `shell`."""
        self._tools: Any = None
        """Those of the caller, while a run has some: see `client_tools`."""
        self._runner: Any = None
        """Of the code's `await` outside of functions: one event loop for all cells."""
        self._main = ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins  # the module, as in a script
        # Of the cells alone: libraries that find it take it for all that IPython is.
        self._main.__dict__["get_ipython"] = get_ipython
        self._stdout, self._stderr = streams.written_text(), streams.error_text(self._settle)
        self._stdin: Any = streams.read_text()
        """Of the first run: what one has read ahead is not for the next."""
        _here[:] = [self]

    def prepare(self) -> None:
        """In the zygote: be already what the code takes the interpreter for, and run a little, time and again.

        What Python notes of its own steps when they are taken is noted before the fork then, in pages that all share.
        """
        sys.modules["__main__"] = self._main
        if "multiprocessing" in sys.modules:
            sys.modules["__mp_main__"] = self._main
        sys.argv, sys.orig_argv = [""], [sys.executable]
        sys.stdout = sys.__stdout__ = self._stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr  # type: ignore[misc]
        for _ in range(_PREPARED):
            self.rehearse()

    def become(self, temporary: str) -> None:
        """Serve the code from now on. Files without a name are made in `temporary`."""
        self._temporary, self.pid = temporary, os.getpid()
        _set_handler(LARGEST_SIGNAL, self._tell_largest)
        sys.path[:] = ["", *filter(None, sys.path)]
        sys.dont_write_bytecode = True
        display.set_emit(self.displays.send, self._tell_of_file)

    def serve(self, control: int, laps: dict[str, float]) -> None:
        """Run what comes by the socket `control`. SIGINT is ignored until there is code."""
        self._channel.fd = control
        self._channel.send(Message("ready", {"laps": laps}))
        while True:
            request = json.loads(self._channel.receive().body.decode())
            started = perf_counter()
            finished = self._run(request)
            finished.head["run"] = request["run"]
            if os.getpid() != self.pid:
                # A child that the code forked, and that came back here when the code ended.
                self.flush()
                os._exit(finished.head.get("return_code", 0) & 0xFF)
            if not request["is_last"] and perf_counter() - started > _LONG_SECONDS:
                trim_heap()  # from here on we may be stopped for long
            self._channel.send(finished)
            # Between runs nothing runs. The keeper sees to that; who is stopped by then does not keep it waiting.
            _raise_signal(signal.SIGSTOP)

    def rehearse(self) -> None:
        """Before `serve`: run a little, so that the pages which a run writes to are ours by then.

        Nobody hears of it, and nothing is left of it.
        """
        null = os.open("/dev/null", os.O_RDWR)
        kept = os.dup(0), os.dup(1)
        try:
            os.dup2(null, 1)
            self._channel.fd = null
            request = {"run": 0, "code": _REHEARSED, "stdin": "", "env": {"OUTPUT_DIR": self._temporary}}
            message = Message("execute", {}, json.dumps(request).encode())
            self._channel.take_in(encode(message))
            self._channel.send(self._run(json.loads(self._channel.receive().body.decode())))
        finally:
            for place, fd in enumerate(kept):
                os.dup2(fd, place)
            for fd in (null, *kept):
                os.close(fd)
        linecache.cache.pop(f"<cell {self.count}>", None)
        self.count = 0
        self._stdin = sys.stdin

    def _take_reply(self, reply: Message) -> None:
        if self._tools is not None:
            self._tools.take(reply)

    def tell_keeper(self, kind: str, head: dict[str, Any], body: bytes = b"") -> None:
        """Say something, and wait until it was taken in."""
        self._channel.tell(kind, head, body)

    def _settle(self) -> None:
        """What was printed before comes before what is written to stderr, or by another process, from here on."""
        if os.getpid() != self.pid:
            return
        with contextlib.suppress(Exception):  # the code closed or replaced it
            sys.stdout.flush()
        if self._settles < _MAX_SETTLES and streams.is_unread(1):
            self._settles += 1
            self._channel.try_to_tell("settle", _SETTLE_SECONDS)

    def _tell_of_file(self, inode: int, facts: bytes) -> None:
        if os.getpid() == self.pid:
            self._channel.send(Message("chart", {"inode": inode}, facts))

    def _tell_largest(self, _: int, frame: FrameType | None) -> None:
        if os.getpid() != self.pid or self._is_weighing:
            return
        self._is_weighing = True
        try:
            from belljar.guest import largest  # which those do without who have enough

            largest.tell(frame, lambda said: self._channel.interject(Message("largest", {}, said.encode())))
        except Exception:
            return  # it has no memory left for this, say: the code is not to notice
        finally:
            self._is_weighing = False

    def flush(self) -> None:
        for stream in (sys.stdout, sys.stderr, self._stdout, self._stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError, RuntimeError):
                continue  # the code closed or replaced it, or a signal's handler came in the middle of it

    def _run(self, request: dict[str, Any]) -> Message:
        env = request["env"]
        before = {name: os.environ.get(name) for name in env}
        try:
            for name, value in env.items():
                os.environ[name] = value
            streams.give_to_read(request["stdin"], self._temporary)
            sys.stdin, self._stdin = self._stdin or streams.read_text(), None
            _make_directory(env["OUTPUT_DIR"])
            _set_handler(signal.SIGINT, signal.default_int_handler)
            try:
                self._channel.send(
                    Message("started", {"run": request["run"]})
                )  # from here on SIGINT is heard
                files = os.path.dirname(os.path.dirname(env["OUTPUT_DIR"]))
                is_last, asked = request.get("is_last", True), request.get("charts")
                display.begin(request["run"], files, keeps=not is_last, asked=asked)
                if calls := request.get("calls"):
                    return self._with_calls(calls)
                if chart := request.get("chart"):
                    return self._draw_again(chart)
                if argv := request.get("argv"):
                    sys.argv = argv
                return self._cell(request)
            finally:
                _set_handler(signal.SIGINT, signal.SIG_IGN)
        except BaseException as error:
            return self._raised(error)
        finally:
            self.displays.end()
            self.flush()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def _with_calls(self, asked: list[dict[str, Any]]) -> Message:
        """Run shell commands and edits, side by side. How it ended each of them says itself."""
        calls = Calls(asked, self._channel.send)
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

        self.displays.send("display_data", figures.draw_again(asked))
        return Message("finished", {"status": "completed", "return_code": 0})

    def _cell(self, request: dict[str, Any]) -> Message:
        """Run Python code."""
        code = request["code"].removeprefix("\N{BOM}")  # which Python overlooks at the head of a file
        self.count += 1
        self._settles = 0
        filename = f"<cell {self.count}>"
        linecache.cache[filename] = (len(code), None, f"{code}\n".splitlines(keepends=True), filename)
        tools = request.get("tools")
        if tools:
            self._offer(tools)
        try:
            if self._shell is not None:
                self._shell.begin()
            return self._with_figures(self._finished(code, filename))
        finally:
            if self._shell is not None:
                self._shell.end()
            if tools:
                self._tools.close()
                self._tools = None

    def _offer(self, tools: list[dict[str, str]]) -> None:
        """Make the caller's tools functions of the code's own namespace."""
        from belljar.guest.client_tools import ClientTools  # with asyncio, which most do without

        self._tools = ClientTools(self._channel)
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
        tree = self._parsed(code, filename)
        if self._shell is not None and self._shell.ast_node_interactivity == "all":
            self._shell.run_all(tree, filename)
            return
        last = tree.body[-1] if tree.body else None
        result = self.run_tree(tree, filename)
        if result is not None and not _is_quiet(code, last):
            self.show(result)

    def run_tree(self, tree: Any, filename: str) -> Any:
        """Run a syntax tree, and return the value of its last expression; None where it ends otherwise."""
        last = tree.body[-1] if tree.body else None
        if not isinstance(last, ast.Expr):
            return self.evaluate(_compile(tree, filename))
        tree.body.pop()
        body, value = _compile(tree, filename), _compile(ast.Expression(last.value), filename)
        self.evaluate(body)
        return self.evaluate(value)

    def _parsed(self, code: str, filename: str) -> Any:
        """The syntax tree of Python; where it is none, of what a notebook makes of it."""
        try:
            # Not ast.parse: a SyntaxError is to be raised from the user's code and not from a library's.
            return compile(code, filename, "exec", ast.PyCF_ONLY_AST | _AWAIT, dont_inherit=True)
        except SyntaxError:
            from belljar.guest import notebook  # for those who write more than Python

            if (tree := notebook.tree_of(code, filename, self._main.__dict__)) is None:
                raise
            return tree

    def show(self, result: Any) -> None:
        """The value of the last expression."""
        if type(result) in _PLAIN:
            self._remember(result)
            self.displays.send("execute_result", {"text/plain": clip(repr(result))})
            return
        if type(result).__name__ == "Quitter":
            result()  # `exit` and `quit`: as in a notebook, the name alone does it
        from belljar.guest import rich  # which those do without who only print

        self._remember(result)
        shown = rich.bundle(result)
        if shown is not None:
            self.displays.send("execute_result", *shown)

    def _remember(self, result: Any) -> None:
        """Have it be `_` and `_N` of its cell; those before it `__` and `___`. Not where the code has a `_` itself."""
        namespace = self._main.__dict__
        before = self._values[0][1] if self._values else None
        if namespace.get("_", before) is not before:
            return
        if len(self._values) == _KEPT_VALUES:
            name, old = self._values.pop()
            if namespace.get(name) is old:
                del namespace[name]
        self._values.appendleft((f"_{self.count}", result))
        namespace[f"_{self.count}"] = result
        for length, (_, value) in enumerate(self._values, 1):
            namespace["_" * length] = value

    def evaluate(self, code: CodeType, namespace: dict[str, Any] | None = None) -> Any:
        """Run code of the user's; in the cells' own namespace, unless there is another."""
        result = eval(code, self._main.__dict__ if namespace is None else namespace)  # noqa: S307 - in the user's jail
        if not code.co_flags & _IS_COROUTINE:
            return result
        if self._runner is None:
            import asyncio  # which most do without

            self._runner = asyncio.Runner()
        return self._runner.run(result)

    def shell(self) -> Any:
        """What code that was written for notebooks speaks to."""
        if self._shell is None:
            from belljar.guest.shell import Shell

            self._shell = Shell(self, self._main.__dict__)
        return self._shell

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


def _make_directory(path: str) -> None:
    """Where it cannot be made, for want of space say, that is for the code to find, and to mend."""
    try:
        os.mkdir(path)  # as it usually goes: `makedirs` looks at each of its parents first
    except OSError:
        with contextlib.suppress(OSError):
            os.makedirs(path, exist_ok=True)


def _is_quiet(code: str, last: Any) -> bool:
    """Whether a semicolon ends the last expression: then nobody wants to see its value."""
    behind = code.split("\n")[(last.end_lineno or 1) - 1 :]
    if behind[0].lstrip().startswith(("%", "!")):
        return not behind[0].lstrip().startswith("%%") and behind[0].rstrip().endswith(";")
    behind[0] = behind[0].encode("utf-8", "replace")[last.end_col_offset :].decode("utf-8", "replace")
    return any(";" in line.partition("#")[0] for line in behind)


def _described(error: BaseException) -> traceback.TracebackException:
    """The traceback from the user's first frame on."""
    described = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    part: traceback.TracebackException | None = described
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        # What called the user's code is of no interest, and neither is our own code, below it or in between.
        if any(frame.filename.startswith("<cell ") for frame in part.stack):
            while not part.stack[0].filename.startswith("<cell "):
                part.stack.pop(0)
        part.stack[:] = [frame for frame in part.stack if "inside.zip" not in frame.filename]
        part = part.__cause__ or part.__context__
    return described
