"""Shell commands: each in a shell of its own, on files that stay."""

from __future__ import annotations

from typing import Any

from belljar import orders
from belljar.gateway.tools import BASH, Failed, Offer, string_of
from belljar.installed import MOST_PACKAGES, installed

name = BASH


def definition(offer: Offer) -> dict[str, Any]:
    limits = offer.limits
    text = (
        f"Run a bash command in a sandbox and get back what it prints. `python` is Python {offer.about.python}. "
        "Files live on from one call to the next in the same container, the shell itself does not, and neither does "
        "what a command leaves running in the background. Attached files are in $INPUT_DIR. To hand files to the user, "
        "copy them into $OUTPUT_DIR (not into folders in it): it is a new, empty directory in each call. "
        f"There is no network and nothing can be installed. Each call may take {offer.timeout_seconds:g} seconds, "
        f"the session {limits.memory_bytes // 2**20} MiB of memory, {limits.disk_bytes // 2**20} MiB of files."
    )
    if not offer.has_code:
        text += installed(offer.about)
    if offer.about.programs:
        text += f" Commands of its packages: {', '.join(offer.about.programs[:MOST_PACKAGES])}."
    return {
        "name": BASH,
        "description": text,
        "input_schema": {
            "type": "object",
            "properties": {"command": {"type": "string", "description": "The command to run."}},
            "required": ["command"],
        },
    }


def asked(given: object) -> orders.Command | Failed:
    command = string_of(given, "command")
    if isinstance(command, Failed):
        return command
    if "\0" in command:
        return Failed("invalid_tool_input", "A command cannot contain NUL.")
    return orders.Command(command)
