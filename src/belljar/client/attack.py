"""A hostile program: what its docstring says of it, what was seen of a try, and whether that is a success. Pure.

The form is described in the README beside the programs.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from belljar.records import MIB, Level, Limits, Status
from belljar.wire.execution import LimitsRequest

PLACE = Path(__file__).parents[1] / "attacks"
"""Where the programs lie, one folder for each thing that they are after."""

FOLDERS = ("limits", "leftovers", "forks", "strangers", "kernel", "answers")

LAYERS = frozenset(
    {
        "user namespace",
        "pid namespace",
        "mount namespace",
        "network namespace",
        "ipc namespace",
        "uts namespace",
        "cgroup namespace",
        "private root",  # what the mount namespace shows: read-only, and nothing of the machine that code need not see
        "tmpfs",  # the size and the inodes of what can be written
        "cgroup",
        "rlimits",
        "own uid",
        "capabilities",
        "no_new_privs",
        "Landlock",
        "seccomp",
        "descriptors",  # none but stdin, stdout, stderr and the control socket
        "fork state",  # what a fork shares is made anew in each guest
        "clean zygote",  # exec'd with an empty environment: there is nothing to find in what is forked
        "clock",  # the keeper's own, and the kill of everything in the box
        "stop between runs",
        "capture",  # output within a budget
        "frames",  # a decoder that holds one message and ends the stream at the first lie
        "verdict",  # the outcome is decided from what the keeper itself has seen
        "collector",  # files by descriptors, with no link followed
    }
)

DEFAULT_LIMITS = Limits(memory_bytes=256 * MIB, pids=64, disk_bytes=64 * MIB, output_bytes=MIB, cpus=1)
DEFAULT_TIMEOUT_SECONDS = 20.0
WAYS = ("saying", "outcome", "surviving", "repeating", "harm")

_FIELDS = frozenset(
    {"Stopped by", "Succeeds by", "Sessions", "Ends", "Timeout", "Limits", "Not at", "Weak box"}
)
_FIELD = re.compile(r"([A-Z][A-Za-z ]*): *(.*)")
_LEVELS: tuple[Level, ...] = ("reduced", "limited", "full")
_UNITS = {"KiB": 1024, "MiB": MIB, "GiB": 1024 * MIB}


@dataclass(frozen=True)
class Attack:
    """One program and the fields of its docstring."""

    name: str
    """The folder and the file, as `limits/too_many_files`."""
    path: Path
    says_what: str
    """Its first line: what it tries."""
    stopped_by: tuple[str, ...]
    succeeds_by: str = "saying"
    """One of `WAYS`, or `outcome STATUS`."""
    sessions: int = 1
    ends: tuple[Status, ...] = ("completed",)
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    limits: Limits = DEFAULT_LIMITS
    not_at: tuple[Level, str] | None = None
    """The level at which it is not stopped, and why."""
    weak_box: str = ""
    """`root` where it needs the machine's own root to succeed in a box that is weak on purpose."""

    @property
    def folder(self) -> str:
        """What it is after."""
        return self.name.partition("/")[0]

    @property
    def code(self) -> str:
        """The program itself."""
        return self.path.read_text()

    def is_stopped_at(self, level: Level) -> bool:
        """Whether a success at that level is a hole. Where one level does not stop it, those below do not either."""
        return self.not_at is None or _LEVELS.index(level) > _LEVELS.index(self.not_at[0])


def find(place: Path = PLACE) -> list[Attack]:
    """Every program below `place`, by name. Raises ValueError for one that has not the form."""
    return [parse(path) for path in sorted(place.glob("*/*.py"))]


def parse(path: Path) -> Attack:
    """Read a program's docstring. Raises ValueError, which names the file, for what the form does not know."""
    try:
        return _parsed(path, path.read_text())
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"{path.parent.name}/{path.name}: {error}") from error


def _parsed(path: Path, text: str) -> Attack:
    says_what, fields = _fields(text)
    if not says_what or says_what.partition(":")[0] in _FIELDS:
        raise ValueError("its docstring has to begin with a line that says what it tries")
    if "Stopped by" not in fields:
        raise ValueError("which layers stop it? (Stopped by: seccomp, ...)")
    stopped_by = _names(fields["Stopped by"])
    _all_known("layer", stopped_by, LAYERS)
    ends = _names(fields.get("Ends", "completed"))
    _all_known("outcome", ends, get_args(Status))
    weak_box = fields.get("Weak box", "")
    _all_known("weak box", [weak_box], ("", "root"))
    _all_known("number of sessions", [fields.get("Sessions", "1")], ("1", "2"))
    return Attack(
        name=f"{path.parent.name}/{path.stem}",
        path=path,
        says_what=says_what,
        stopped_by=stopped_by,
        succeeds_by=_way(fields.get("Succeeds by", "saying")),
        sessions=int(fields.get("Sessions", "1")),
        ends=ends,  # type: ignore[arg-type]  # looked at above
        timeout_seconds=_seconds(fields.get("Timeout", str(DEFAULT_TIMEOUT_SECONDS))),
        limits=_limits(fields.get("Limits", "")),
        not_at=_not_at(fields["Not at"]) if "Not at" in fields else None,
        weak_box=weak_box,
    )


def _fields(text: str) -> tuple[str, dict[str, str]]:
    docstring = ast.get_docstring(ast.parse(text), clean=False)
    says_what, _, rest = inspect.cleandoc(docstring or "").partition("\n")
    fields: dict[str, str] = {}
    name = ""
    for line in filter(str.strip, rest.splitlines()):
        if line.startswith(" ") and name:
            fields[name] += f" {line.strip()}"  # it goes on from the line before
            continue
        match = _FIELD.fullmatch(line)
        if match is None or match[1] not in _FIELDS:
            raise ValueError(f"no field: {line!r} (there are: {', '.join(sorted(_FIELDS))})")
        name = match[1]
        if name in fields:
            raise ValueError(f"{name} is there twice")
        fields[name] = match[2].strip()
    return says_what.strip(), fields


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _all_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    names, known = list(names), set(known)
    if not names:
        raise ValueError(f"it names no {what}")
    for name in names:
        if name not in known:
            raise ValueError(f"no {what}: {name!r} (there are: {', '.join(sorted(known))})")


def _way(text: str) -> str:
    way, _, status = text.partition(" ")
    _all_known("way to succeed", [way], WAYS)
    if way == "outcome":
        _all_known("outcome", [status], get_args(Status))
    elif status:
        raise ValueError(f"no way to succeed: {text!r}")
    return text


def _seconds(text: str) -> float:
    seconds = float(text.removesuffix("s").strip())
    if not 0 < seconds <= 60:
        raise ValueError(f"a time-out of {text} is not between 0 and 60 seconds")
    return seconds


def _limits(text: str) -> Limits:
    changed: dict[str, float] = {}
    for part in _names(text):
        name, _, value = (piece.strip() for piece in part.partition("="))
        _all_known("limit", [name], LimitsRequest.model_fields)
        number, _, unit = value.partition(" ")
        changed[name] = float(number) * _UNITS[unit] if unit in _UNITS else float(value)
    try:
        asked = LimitsRequest.model_validate(changed)
    except ValidationError as error:
        raise ValueError(f"limits out of range: {text!r}") from error
    return replace(DEFAULT_LIMITS, **asked.model_dump(exclude_none=True))


def _not_at(text: str) -> tuple[Level, str]:
    match = re.fullmatch(rf"({'|'.join(_LEVELS)}) [-–—] (.+)", text)
    if match is None:
        raise ValueError(f"not 'LEVEL - why': {text!r}")
    return _LEVELS[_LEVELS.index(match[1])], match[2]


# -- what was seen -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What came back of one run of a program."""

    status: str
    """Its outcome; empty where there was no answer."""
    stdout: str
    stderr: str = ""
    is_whole: bool = True
    """False where the output was cut, so that a line may be missing."""
    returned: tuple[bytes, ...] = ()
    """Files, displays and descriptions, as far as they were read."""

    def lines(self, beginning: str) -> list[str]:
        """The lines that begin so."""
        lines = [*self.stdout.splitlines(), *self.stderr.splitlines()]
        return [line.rstrip() for line in lines if line.startswith(beginning)]


@dataclass(frozen=True)
class Evidence:
    """Everything that a try has left to be judged."""

    secret: str
    """Of the bait."""
    seen: tuple[Seen, ...]
    """One for each run of the program: two sessions, or three where it may repeat itself."""
    has_survived: bool = False
    """Its heartbeat went on when its run had ended."""
    harmed: tuple[str, ...] = field(default=())
    """What is not what it was: the keeper, other sessions, the bait."""


def succeeded(attack: Attack, evidence: Evidence) -> str:
    """How the program succeeded, its own way first; empty where it did not."""
    ways = [attack.succeeds_by, "harm", "secret"]
    for way in ways:
        if how := _success(way, evidence):
            return f"{way}: {how}"
    return ""


def _success(way: str, evidence: Evidence) -> str:
    name, _, status = way.partition(" ")
    if name == "saying":
        said = [line for seen in evidence.seen for line in seen.lines("ESCAPED")]
        return "; ".join(said[:5])[:500]
    if name == "outcome":
        return f"the answer says {status}" if any(seen.status == status for seen in evidence.seen) else ""
    if name == "surviving":
        return "its heartbeat goes on after its run" if evidence.has_survived else ""
    if name == "repeating":
        return "; ".join(repeated(evidence.seen))[:500]
    if name == "harm":
        return "; ".join(evidence.harmed)[:500]
    assert name == "secret"
    secret = evidence.secret.encode()
    is_told = any(
        any(secret in data for data in (seen.stdout.encode(), seen.stderr.encode(), *seen.returned))
        for seen in evidence.seen
    )
    return "the bait's secret came back" if is_told else ""


def repeated(seen: Iterable[Seen]) -> list[str]:
    """The VALUE lines that more than one run has printed."""
    times: dict[str, int] = {}
    for run in seen:
        for line in set(run.lines("VALUE")):
            times[line] = times.get(line, 0) + 1
    return sorted(line for line, count in times.items() if count > 1)


def inconclusive(attack: Attack, evidence: Evidence) -> str:
    """Why a try that did not succeed proves nothing: a defect of the program, and never a wall that held."""
    for seen in evidence.seen:
        lines = seen.stdout.split()
        if seen.status not in attack.ends:
            last = (seen.stderr or seen.stdout).strip().splitlines()[-1:]
            return f"it ended as {seen.status or 'nothing'}, and not as {' or '.join(attack.ends)}: {last}"
        if seen.status == "completed" and seen.is_whole and lines[-1:] != ["tried"]:
            return "it did not print 'tried' as its last line"
    if not evidence.seen:
        return "it never ran"
    if attack.succeeds_by == "repeating" and not all(seen.lines("VALUE") for seen in evidence.seen):
        return "it printed no VALUE that could be compared"
    return ""


@dataclass(frozen=True)
class Verdict:
    """On one try of one program."""

    attack: Attack
    evidence: Evidence
    how: str
    """It succeeded, by this; empty where it did not."""
    unclear: str
    """It did not succeed, but that proves nothing, for this reason; empty where the walls held."""


def judge(attack: Attack, evidence: Evidence) -> Verdict:
    """What a try comes to."""
    how = succeeded(attack, evidence)
    return Verdict(attack, evidence, how, "" if how else inconclusive(attack, evidence))
