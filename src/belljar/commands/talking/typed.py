"""Text of JSON that has come in part: what a model writes into a tool's input, as far as it is there."""

from __future__ import annotations

import json
import re

_BEGIN = re.compile(r'"(?:code|command)"\s*:\s*"')


def code_in(written: str) -> str:
    """The code in the input of a use that is being written."""
    begin = _BEGIN.search(written)
    if begin is None:
        return ""
    at = end = begin.end()
    while end < len(written) and written[end] != '"':
        is_escape = written[end] == "\\"
        size = (6 if written[end + 1 : end + 2] == "u" else 2) if is_escape else 1
        if end + size > len(written):
            break  # the rest of it has not come
        end += size
    try:
        found = json.loads(f'"{written[at:end]}"', strict=False)
    except ValueError:
        return ""
    return str(found)
