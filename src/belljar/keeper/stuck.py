"""Where code is that does not stop when it is told to: the guest's words, read with care. Pure.

An interpreter heeds SIGINT between two steps of Python: not while a library's own code keeps it, and not where the code
catches it. To another signal a handler in C answers at once, and writes the stack to stderr (`faulthandler`). It is
sent as well when memory is nearly used up: who is killed for want of it says nothing any more.
"""

from __future__ import annotations

import re
from typing import Any

MAX_BYTES = 64 * 1024
"""Of a stack: the interpreter writes at most 100 frames."""
_MAX_FRAMES = 100
_HEAD = re.compile(r"(?:Stack|(?:Current t|T)hread 0x[0-9a-f]{1,16}.{0,64}) \(most recent call first\):\Z")
_FRAME = re.compile(r'  File "(.*)", line (\d{1,9}) in (.*)')
_NAME_CHARACTERS = 200
_KINDS = {
    "KeyboardInterrupt": "the code did not stop when it was told to",
    "MemoryError": "the memory of the session was nearly used up here",
}


def apart(written: bytes) -> tuple[str, bytes]:
    """The stack in what came on stderr, and what the program wrote itself."""
    lines = written.decode("latin-1").split("\n")
    # Line by line, and in no larger steps: the program may write anything, to keep us busy, too.
    for at, line in enumerate(lines[:-1]):
        found = _HEAD.search(line)
        if found is None:
            continue
        end = at + 1
        while end < len(lines) - 1 and (lines[end] == "  ..." or lines[end].startswith('  File "')):
            end += 1
        stack = "".join(f"{frame}\n" for frame in lines[at + 1 : end])
        rest = "\n".join([*lines[:at], line[: found.start()] + "\n".join(lines[end:])])
        return stack.encode("latin-1").decode("utf-8", "replace"), rest.encode("latin-1")
    return "", written


def described(stack: str, code: str, ename: str = "KeyboardInterrupt") -> dict[str, Any] | None:
    """The stack as an exception is told, from the code's own first line on; None where none of them is in it.

    `ename` is what the exception would be: KeyboardInterrupt or MemoryError.
    """
    frames = [
        (found[1], int(found[2]), found[3]) for found in map(_FRAME.fullmatch, stack.splitlines()) if found
    ]
    frames = frames[:_MAX_FRAMES][::-1]
    first = next((at for at, (file, _, _) in enumerate(frames) if file.startswith("<cell ")), None)
    if first is None:
        return None
    cell, lines = frames[first][0], code.splitlines()
    frames = frames[first:]
    aside = next((at for at, frame in enumerate(frames) if _is_aside(frame[0], frame[2])), None)
    frames = [frame for frame in frames[:aside] if "inside.zip" not in frame[0]]
    plain, brief, told = [], [], []
    left_out = 0
    for at, (file, line, function) in enumerate(frames):
        text = lines[line - 1].strip()[:_NAME_CHARACTERS] if file == cell and line <= len(lines) else ""
        where = f"line {line}, in {function[:_NAME_CHARACTERS]}"
        shown = [f"    {text}"] if text else []
        plain += [f'  File "{file[:_NAME_CHARACTERS]}", {where}', *shown]
        is_own = file.startswith(("<cell ", "/files/"))
        if not is_own and at < len(frames) - 1:
            left_out += 1
            continue
        brief += (
            [f"  [{left_out} {'call' if left_out == 1 else 'calls'} inside libraries]"] if left_out else []
        )
        brief += [f'  File "{_short(file)[:_NAME_CHARACTERS]}", {where}', *shown]
        told.append(
            {
                "file": _short(file)[:_NAME_CHARACTERS],
                "line": line,
                "function": function[:_NAME_CHARACTERS],
                "code": text,
                "is_own": is_own,
                "left_out": left_out,
            }
        )
        left_out = 0
    head, tail = "Traceback (most recent call last):", f"{ename}: {_KINDS[ename]}"
    return {
        "ename": ename,
        "evalue": _KINDS[ename],
        "traceback": [head, *plain, tail],
        "brief": [head, *brief, tail],
        "frames": told,
    }


def unplaced(ename: str) -> dict[str, Any]:
    """The same, where nobody could be asked in time where it was."""
    line = f"{ename}: {_KINDS[ename]}"
    return {"ename": ename, "evalue": _KINDS[ename], "traceback": [line], "brief": [line], "frames": []}


def _is_aside(file: str, function: str) -> bool:
    """Whether the guest itself has interrupted the code here, to say what takes most of the memory."""
    return "inside.zip" in file and (function == "_tell_largest" or file.endswith("/largest.py"))


def _short(file: str) -> str:
    """A library's file by the name that it is imported by."""
    return re.sub(r"^.*/(?:site-packages|lib/python3\.\d+)/", "", file).removeprefix("/files/work/")
