"""Python cells, in an interpreter that lives as long as its container's session."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Sequence
from typing import Any

from belljar.gateway.tools import CODE, Failed, Offer, string_of
from belljar.installed import installed

name = CODE

_NOT_IN_A_NAME = re.compile(r"\W", re.ASCII)


def definition(offer: Offer) -> dict[str, Any]:
    about, limits = offer.about, offer.limits
    text = f"Run Python {about.python} code in a sandbox and get back what it prints. "
    if offer.is_beside_shell:
        text += (
            "The interpreter lives on: variables and imports of one call are there in the next; it shares its files "
            "with the shell and the editor. "
        )
    else:
        text += "Variables, imports and files live on from one call to the next in the same container. "
    text += (
        "Print what you want to see; the value of a last expression and what you display() are shown as well. "
        "A notebook's !commands and %magics work. "
        "Attached files lie in the current working directory, which is also $INPUT_DIR: open them by their name. "
        f"Matplotlib figures are shown automatically, to {'you and to ' if offer.sees else ''}the user, without "
        "savefig. "
        "Files that you write into the working directory or into $OUTPUT_DIR are handed to the user. "
        f"There is no network and nothing can be installed. Each call may take {offer.timeout_seconds:g} seconds, "
        f"the session {limits.memory_bytes // 2**20} MiB of memory, {limits.disk_bytes // 2**20} MiB of files."
    )
    text += installed(about)
    if offer.client_tools:
        text += f"\n\n{_functions(offer.client_tools)}"
    return {
        "name": CODE,
        "description": text,
        "input_schema": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The Python code to run."}},
            "required": ["code"],
        },
    }


def asked(given: object) -> str | Failed:
    return string_of(given, "code")


def function_name(tool_name: str) -> str:
    """What code calls a tool of the caller's: its name, as far as that can be one in Python."""
    made = _NOT_IN_A_NAME.sub("_", tool_name)
    if not made or made[0].isdigit() or keyword.iskeyword(made):
        made = f"_{made}"
    return made


def _functions(tools: Sequence[dict[str, Any]]) -> str:
    """The caller's tools, for the description."""
    lines = [
        "These async functions can be called in the code, with `await`, also side by side with asyncio.gather. "
        "Each takes one dict that fits the schema, and returns the answer as a string:"
    ]
    for tool in tools:
        schema = json.dumps(tool.get("input_schema") or {}, ensure_ascii=False)
        lines.append(
            f"- {function_name(tool['name'])}(input): {tool.get('description') or ''}\n  schema: {schema}"
        )
    lines.append("Print what you need of their answers: the answers themselves are not shown to you.")
    return "\n".join(lines)
