"""What a requirements file may say, looked at before uv reads it: it is kept with the runtime, and so is the lock."""

from __future__ import annotations

import re
from pathlib import Path

from belljar.errors import InvalidRequest

_INCLUDE = re.compile(r"-[rc]|--(requirement|constraint)s?\b")
_USER = re.compile(r"://([^/\s?#]*)@([^/@\s?#]*)")
"""Of a URL: who asks, and which host."""
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
"""As uv takes it from its environment, and leaves it in the lock."""


def read(file: Path) -> str:
    """Its text. Raises OSError; InvalidRequest where it is none."""
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{file} is no text in UTF-8 ({error.reason} at byte {error.start}): requirements are lines as for pip"
        ) from error


def options_of(text: str) -> str:
    """Its lines that are options: where packages are. Raises InvalidRequest for what cannot be kept with a runtime."""
    for number, line in enumerate(text.splitlines(), 1):
        for user, host in _USER.findall(line):
            if not _VARIABLE.search(user):
                raise InvalidRequest(
                    f"requirements: line {number} has a user or password for {host}, and would be kept with the "
                    "runtime. Write ${VARIABLE} in its place, which uv takes from its environment, or use ~/.netrc"
                )
    options = [line for line in text.replace("\\\n", " ").splitlines() if line.lstrip().startswith("-")]
    for line in options:
        if _INCLUDE.match(line.lstrip()):
            raise InvalidRequest(
                f"The requirements include another file ({line.strip()}), and one file is kept with a runtime: "
                "write all of them into one"
            )
    return "".join(f"{line}\n" for line in options)
