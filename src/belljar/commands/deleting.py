"""What commands delete at a server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from belljar import exits
from belljar.commands import Failure
from belljar.commands.asking import ask, asking
from belljar.commands.printing import print_json, say


def delete_all(
    paths: Iterable[tuple[str, str]], url: str | None, api_key: str | None, *, as_json: bool
) -> int:
    """Delete what lies at each path, which comes with what to say of it then. Returns the exit code: that of the worst
    refusal, and the others are deleted all the same."""
    deleted: list[Any] = []
    code = exits.DONE
    with asking(url, api_key) as client:
        for path, words in paths:
            try:
                deleted.append(ask(client, "DELETE", path))
            except Failure as error:
                say(str(error))
                code = max(code, error.code)
                continue
            if not as_json:
                say(words)
    if as_json:
        print_json(deleted)
    return code
