"""The text editor: look at a file or a directory, make a file, replace a piece of one. Pure but for the files."""

from __future__ import annotations

import base64
import difflib
import os
import re
import stat
from collections.abc import Mapping
from typing import Any

MAX_VIEW_BYTES = 16 * 1024 * 1024
"""Of a text. What is seen of it is bounded by `MAX_VIEW_CHARACTERS`."""
MAX_VIEW_CHARACTERS = 200_000
MAX_PICTURE_BYTES = 4 * 1024 * 1024
_MAX_ENTRIES = 1000
_MAX_HUNK_LINES = 10_000
_DEPTH = 2
_CONTEXT_LINES = 3
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_PICTURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


class _Refused(Exception):
    """Why an edit cannot be made: an error code of the contract, and what to do instead."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def edit(given: Any, environment: Mapping[str, str]) -> dict[str, Any]:
    """Do what `given`, the tool's input, asks for.

    Returns the fields of the contract's result, with its kind (`view`, `create`, `str_replace`, `error`) as `result`.
    """
    try:
        command = _text(given, "command")
        if command not in _COMMANDS:
            known = ", ".join(_COMMANDS)
            raise _Refused("invalid_tool_input", f"command: {command!r} is none of: {known}.")
        path = _expanded(_text(given, "path"), environment)
        return {"result": command, **_COMMANDS[command](path, given)}
    except _Refused as error:
        return _error(error.code, str(error))
    except FileNotFoundError as error:
        return _error("file_not_found", f"There is no file {_shown(error.filename)}.")
    except (OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _error(
            "unavailable", f"{_shown(getattr(error, 'filename', None) or given.get('path'))}: {text}"
        )


def _error(code: str, message: str) -> dict[str, Any]:
    return {"result": "error", "error_code": code, "error_message": message}


def _shown(path: object) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _text(given: Any, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise _Refused("invalid_tool_input", f"{name}: a string is needed here.")
    return value


def _expanded(path: str, environment: Mapping[str, str]) -> str:
    """`path` with its variables, as a shell would write them; relative ones are of the working directory."""
    if not path or "\0" in path:
        raise _Refused("invalid_tool_input", "path: a file's path is needed here.")
    return _VARIABLE.sub(lambda found: environment.get(found[1] or found[2], found[0]), path)


# -- view ---------------------------------------------------------------------------------------------------


def _view(path: str, given: Any) -> dict[str, Any]:
    if os.path.isdir(path):
        return _whole("\n".join(_listing(path)))
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _Refused("invalid_tool_input", f"{path} is neither a file nor a directory.")
        data = file.read(MAX_VIEW_BYTES + 1)
    kind = next((kind for magic, kind in _PICTURES if data.startswith(magic)), None)
    if kind == "webp" and data[8:12] != b"WEBP":
        kind = None
    if kind is not None or data.startswith(b"%PDF-"):
        if status.st_size > MAX_PICTURE_BYTES:
            raise _Refused(
                "invalid_tool_input",
                f"{path} has {status.st_size} bytes, over the {MAX_PICTURE_BYTES} that can be viewed.",
            )
        encoded = base64.b64encode(data).decode()
        return {"file_type": "pdf" if kind is None else "image", "content": encoded, "picture": kind}
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) > MAX_VIEW_BYTES and error.start >= MAX_VIEW_BYTES - 3:
            text = data[: error.start].decode("utf-8")
        else:
            raise _Refused(
                "invalid_tool_input", f"{path} is neither text in UTF-8, nor an image, nor a PDF."
            ) from error
    return _lines_of(text, given.get("view_range"))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO has perhaps nobody who writes


def _whole(text: str) -> dict[str, Any]:
    count = len(_split(text))
    return {"file_type": "text", "content": text, "num_lines": count, "start_line": 1, "total_lines": count}


def _lines_of(text: str, wanted: Any) -> dict[str, Any]:
    lines = _split(text)
    first, last = 1, len(lines)
    if wanted is not None:
        first, last = _range(wanted, len(lines))
    kept: list[str] = []
    room = MAX_VIEW_CHARACTERS
    for line in lines[first - 1 : last]:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    if not kept and first <= last and lines:
        kept = [lines[first - 1][:MAX_VIEW_CHARACTERS]]  # one line that is longer than all that is shown
    content = "\n".join(kept)
    return {
        "file_type": "text",
        "content": content,
        "num_lines": len(kept),
        "start_line": first,
        "total_lines": len(lines),
    }


def _split(text: str) -> list[str]:
    """Lines as editors count them: by `\\n` alone, and what follows the last one only where there is something."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def _range(wanted: Any, count: int) -> tuple[int, int]:
    if not (isinstance(wanted, list) and len(wanted) == 2 and all(type(n) is int for n in wanted)):
        raise _Refused("invalid_tool_input", "view_range: two whole numbers, [first, last], are needed here.")
    first, last = wanted
    last = count if last == -1 else last
    if not (1 <= first <= max(count, 1) and first <= last):
        raise _Refused(
            "invalid_tool_input",
            f"view_range: {wanted} is no range of a file of {count} lines: from 1 on, -1 for the last.",
        )
    return first, min(last, count)


def _listing(top: str) -> list[str]:
    """What is in a directory, two levels deep, without what is hidden."""
    found: list[str] = []
    pending = [(top, 0)]
    while pending:
        path, depth = pending.pop(0)
        with os.scandir(path) as entries:
            names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        for name, is_directory in names:
            if name.startswith("."):
                continue
            if len(found) == _MAX_ENTRIES:
                return [*found, "[... more entries left out ...]"]
            whole = os.path.join(path, name)
            found.append(_shown(f"{whole}/" if is_directory else whole))
            if is_directory and depth + 1 < _DEPTH:
                pending.append((whole, depth + 1))
    return sorted(found)


# -- create and str_replace ---------------------------------------------------------------------------------


def _create(path: str, given: Any) -> dict[str, Any]:
    text = _text(given, "file_text")
    if os.path.isdir(path):
        raise _Refused("invalid_tool_input", f"{path} is a directory.")
    is_update = os.path.lexists(path)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    _write(path, text)
    return {"is_file_update": is_update}


def _str_replace(path: str, given: Any) -> dict[str, Any]:
    old, new = _text(given, "old_str"), given.get("new_str", "")
    if not isinstance(new, str):
        raise _Refused("invalid_tool_input", "new_str: a string is needed here.")
    if not old:
        raise _Refused("invalid_tool_input", "old_str: it is empty, so there is nothing to be replaced.")
    with open(path, "rb", opener=_without_waiting) as file:
        data = file.read(MAX_VIEW_BYTES + 1)
    if len(data) > MAX_VIEW_BYTES:
        raise _Refused("invalid_tool_input", f"{path} is over the {MAX_VIEW_BYTES} bytes that can be edited.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused("invalid_tool_input", f"{path} is no text in UTF-8.") from error
    count = text.count(old)
    if count != 1:
        what = "is not in" if count == 0 else f"is {count} times in"
        raise _Refused(
            "invalid_tool_input",
            f"old_str {what} {path}: it has to be there once, with the white space as it is in the file.",
        )
    changed = text.replace(old, new)
    _write(path, changed)
    return _hunk(text, changed)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        file.write(text)


def _hunk(before: str, after: str) -> dict[str, Any]:
    """The change as one hunk of a unified diff, with three lines around it."""
    old, new = _split(before), _split(after)
    matcher = difflib.SequenceMatcher(None, *_middle(old, new), autojunk=False)
    start = _common(old, new)
    opcodes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    if not opcodes:
        return {"lines": [], "old_start": 1, "old_lines": 0, "new_start": 1, "new_lines": 0}
    first, last = start + opcodes[0][1], start + opcodes[-1][2]
    new_last = start + opcodes[-1][4]
    top, bottom = max(0, first - _CONTEXT_LINES), min(len(old), last + _CONTEXT_LINES)
    lines = [f" {line}" for line in old[top : start + opcodes[0][1]]]
    at = start + opcodes[0][1]
    for _, i1, i2, j1, j2 in opcodes:
        lines += [f" {line}" for line in old[at : start + i1]]
        lines += [f"-{line}" for line in old[start + i1 : start + i2]]
        lines += [f"+{line}" for line in new[start + j1 : start + j2]]
        at = start + i2
    lines += [f" {line}" for line in old[last:bottom]]
    old_lines = bottom - top
    new_lines = old_lines + (new_last - last)
    return {
        "lines": _shown_lines(lines),
        "old_start": top + 1 if old_lines else top,
        "old_lines": old_lines,
        "new_start": top + 1 if new_lines else top,
        "new_lines": new_lines,
    }


def _shown_lines(lines: list[str]) -> list[str]:
    """The lines of a hunk, and of each as much as there is room for: a file may be one line of megabytes."""
    lines = lines[:_MAX_HUNK_LINES]
    if sum(map(len, lines)) <= MAX_VIEW_CHARACTERS:
        return lines
    room = MAX_VIEW_CHARACTERS // len(lines)
    return [
        line if len(line) <= room else f"{line[:room]}[... {len(line) - room} characters left out ...]"
        for line in lines
    ]


def _common(old: list[str], new: list[str]) -> int:
    """How many lines are the same at the beginning."""
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _middle(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Both without the lines that are the same at the beginning and at the end: a diff of long files is slow."""
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    return old[start : len(old) - end], new[start : len(new) - end]


_COMMANDS = {"view": _view, "create": _create, "str_replace": _str_replace}
