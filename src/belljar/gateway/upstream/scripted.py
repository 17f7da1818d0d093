"""A model's turns, written ahead in a TOML file. The code in them really runs.

[[conversation]]
when = "standard deviation"          # in the user's last prompt; without it: always

[[conversation.turn]]
thinking = "I will compute it."
text = "Let me see."
code = "print(6 * 7)"                # or codes = ["…", "…"], or uses of any tools, side by side:
uses = [{ name = "bash_code_execution", input = { command = "ls" } }]

[[conversation.turn]]
text = "It is {{ stdout }}."         # what the last code printed
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from belljar.errors import InvalidRequest
from belljar.gateway.turn import events_of
from belljar.gateway.upstream import Caller, Event, Model, Request, Traits
from belljar.gateway.upstream.conversation import Block, message, offered, python_use, read, use

_STDOUT = re.compile(r"\{\{\s*stdout\s*\}\}")


class ScriptedUse(BaseModel):
    """A use of a tool, by its name."""

    model_config = ConfigDict(extra="forbid")

    name: str
    input: dict[str, Any]


class Turn(BaseModel):
    """One answer of the model."""

    model_config = ConfigDict(extra="forbid")

    thinking: str | None = None
    text: str | None = None
    code: str | None = None
    codes: list[str] = []
    uses: list[ScriptedUse] = []

    @property
    def all_codes(self) -> list[str]:
        return [*([self.code] if self.code is not None else []), *self.codes]

    def blocks(self, names: set[str]) -> list[Block] | None:
        """The tool uses, in order; None where the tools that are offered (`names`) lack one."""
        found = [python_use(code, names) for code in self.all_codes]
        found += [use(other.name, other.input) if other.name in names else None for other in self.uses]
        blocks = [block for block in found if block is not None]
        return blocks if len(blocks) == len(found) else None


class Scripted(BaseModel):
    """What is said to a prompt that has `when` in it."""

    model_config = ConfigDict(extra="forbid")

    when: str | None = None
    turn: Annotated[list[Turn], Field(min_length=1)]


class Script(BaseModel):
    model_config = ConfigDict(extra="forbid")

    conversation: Annotated[list[Scripted], Field(min_length=1)]


class ScriptedUpstream:
    """Plays the first conversation whose `when` fits; the number of results so far says which turn it is."""

    kind = "scripted"

    def __init__(self, script: Script) -> None:
        self._script = script

    def traits(self, model_id: str) -> Traits:
        return Traits(is_model=False)

    async def stream(self, request: Request, caller: Caller) -> AsyncIterator[Event]:
        for event in events_of(message(request, answer(self._script, request))):
            yield event

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        return None

    async def models(self, caller: Caller) -> list[Model]:
        return [{"id": self.kind}]

    async def model(self, model_id: str, caller: Caller) -> Model | None:
        return {"id": self.kind} if model_id == self.kind else None


def load(path: Path) -> Script:
    """Read a script. Raises InvalidRequest that names the file and the place."""
    try:
        return Script.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InvalidRequest(f"The script {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The script {path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"The script {path} is not as it should be: {place}: {first['msg']}") from error


def answer(script: Script, request: Request) -> list[Block]:
    """The content of the next turn."""
    reading = read(request)
    found = next((c for c in script.conversation if c.when is None or c.when in reading.prompt), None)
    if found is None:
        known = ", ".join(repr(conversation.when) for conversation in script.conversation)
        return [
            {
                "type": "text",
                "text": f"The script has nothing to say to this. It knows prompts with: {known}.",
            }
        ]
    turn = _turn(found.turn, len(reading.results))
    if turn is None:
        return [{"type": "text", "text": reading.last_output.strip() or "The script ends here."}]
    uses = turn.blocks(offered(request))
    if uses is None:
        return [
            {"type": "text", "text": "The script wants to run code, and the request does not offer the tool."}
        ]
    content: list[Block] = []
    if turn.thinking is not None:
        content.append({"type": "thinking", "thinking": turn.thinking, "signature": "scripted"})
    if turn.text is not None:
        text = _STDOUT.sub(lambda _: reading.last_output.strip(), turn.text)
        content.append({"type": "text", "text": text})
    return [*content, *uses]


def _turn(turns: list[Turn], results: int) -> Turn | None:
    """The turn that comes after so many results; None where the script is at its end."""
    for turn in turns:
        if results <= 0:
            return turn
        results -= len(turn.all_codes) + len(turn.uses)
    return None
