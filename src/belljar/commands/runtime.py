"""`belljar runtime`: Python environments of one's own, for code to run in beside the default one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import click

from belljar import builds
from belljar.commands.completion import BUILT
from belljar.commands.given import SERVER_STATE, settings_of
from belljar.commands.printing import AS_JSON, console, is_terminal, moment, print_json, print_table, say
from belljar.errors import BelljarError, InvalidRequest

if TYPE_CHECKING:
    from belljar.builds import Build, Facts
    from belljar.client.building import Say
    from belljar.settings import Settings

T = TypeVar("T")
_NEW_NAME = click.argument("name")
_NAME = click.argument("name", type=BUILT)
_REQUIREMENTS = click.option(
    "--requirements",
    "-r",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What to install, as for pip: a file.",
)
_PYTHON = click.option("--python", metavar="PATH", help="The Python to make it with, or a version: 3.12.")
_PRELOAD = click.option(
    "--preload",
    multiple=True,
    metavar="MODULES",
    help="Modules to import ahead, with commas between them. May be repeated: each makes one more tier.",
)


@click.group()
def runtime() -> None:
    """Make, list, check and remove runtimes: environments that code runs in beside the default one.

    They lie below the state directory; a server that runs gives them to new sessions at once.
    """


@runtime.command(short_help="Build a runtime from wheels.")
@_NEW_NAME
@_REQUIREMENTS
@_PYTHON
@_PRELOAD
@SERVER_STATE
@AS_JSON
def create(
    name: str,
    file: Path | None,
    python: str | None,
    preload: tuple[str, ...],
    state_dir: Path | None,
    as_json: bool,
) -> None:
    """Build the runtime NAME from wheels, lock what is in it, and try it in the jail.

    What goes wrong leaves nothing. Modules that cannot be imported ahead are named, with the reason; they can be used.
    """
    from belljar.client.requirements import read

    settings, runtimes = _opened(state_dir)
    if file is None:
        raise InvalidRequest(
            "--requirements FILE is needed: what to install, as for pip (an empty file for nothing)"
        )
    requirements, folder = read(file), file.absolute().parent
    base: str = python or getattr(sys, "_base_executable", None) or sys.executable

    async def work(say: Say) -> Build:
        from belljar.client import building  # its imports are not for `run` to pay

        with runtimes.builder(name, "create"):
            if runtimes.current_directory(name) is not None:
                raise InvalidRequest(
                    f"there is a runtime {name} already: belljar runtime rebuild {name} changes it, "
                    f"belljar runtime remove {name} removes it"
                )
            wanted = building.Wanted(requirements, folder, base, _tiers(preload))
            return await building.build(settings, runtimes, name, wanted, say)

    _told(working(work), as_json)


@runtime.command(short_help="Build a runtime anew, with what is given changed.")
@_NAME
@_REQUIREMENTS
@_PYTHON
@_PRELOAD
@click.option("--upgrade", is_flag=True, help="Take the newest of everything, instead of what was locked.")
@SERVER_STATE
@AS_JSON
def rebuild(
    name: str,
    file: Path | None,
    python: str | None,
    preload: tuple[str, ...],
    upgrade: bool,
    state_dir: Path | None,
    as_json: bool,
) -> None:
    """Build the runtime NAME anew, from what it was built from but for what is given.

    Sessions that run keep the old build, which is deleted after the last of them; new ones get the new build.
    """
    from belljar.client.requirements import read

    settings, runtimes = _opened(state_dir)
    text = read(file) if file is not None else None
    new_folder = file.absolute().parent if file is not None else None

    async def work(say: Say) -> Build:
        from belljar.client import building

        with runtimes.builder(name, "rebuild"):
            old = runtimes.find(name)
            folder = new_folder or Path(old.facts.folder)
            if not folder.is_dir():
                folder = old.directory
            wanted = building.Wanted(
                text if text is not None else (old.directory / builds.REQUIREMENTS).read_text("utf-8"),
                folder,
                python or old.facts.base_python,
                _tiers(preload) if preload else old.facts.preload,
                "" if upgrade else old.lock,
            )
            return await building.build(settings, runtimes, name, wanted, say)

    _told(working(work), as_json)


@runtime.command("list")
@SERVER_STATE
@AS_JSON
def list_(state_dir: Path | None, as_json: bool) -> None:
    """Print the runtimes that were built."""
    _, runtimes = _opened(state_dir)
    found, broken = [], []
    for name in runtimes.names():
        try:
            found.append(runtimes.find(name))
        except BelljarError as error:
            broken.append(str(error))
    if as_json:
        print_json([_document(build.facts) for build in found])
    else:
        rows = []
        for build in found:
            facts = build.facts
            ahead = [module for name, tier in facts.tiers.items() if name != "bare" for module in tier]
            count = str(len(facts.packages))
            rows.append((facts.name, facts.python, count, ",".join(ahead) or "-", moment(facts.built_at)))
        print_table(("name", "python", "packages", "preload", "built"), rows, right=("packages",))
    for text in broken:
        say(text)
    sys.exit(1 if broken else 0)


@runtime.command(short_help="Look whether runtimes are what they were built as.")
@click.argument("names", metavar="[NAME]...", nargs=-1, type=BUILT)
@SERVER_STATE
@AS_JSON
def check(names: tuple[str, ...], state_dir: Path | None, as_json: bool) -> None:
    """Look whether runtimes (all, without a NAME) are what they were built as, and try each in the jail.

    Ends with exit code 1 where something is wrong, or a module that was to be imported ahead cannot be.
    """
    settings, runtimes = _opened(state_dir)
    documents: list[dict[str, Any]] = []
    chosen = names or runtimes.names()
    if not chosen:
        say("no runtimes were built beside the default one, which `belljar doctor` looks at")
    for name in chosen:

        async def work(say: Say, name: str = name) -> Any:
            from belljar.client import building

            with runtimes.builder(name, "check"):
                return await building.check(settings, runtimes.find(name), say)

        checked = working(work)
        tiers = [{"name": tier.name, "state": tier.state, "why": tier.why} for tier in checked.tiers]
        documents.append(_document(checked.facts) | {"wrong": checked.wrong, "tiers": tiers})
        if not as_json:
            _print_modules(checked.facts)
            for tier in checked.tiers:
                click.echo(f"{name}: tier {tier.name}: {tier.state} {tier.why}".rstrip())
            for what in checked.wrong:
                click.echo(f"{name}: {what}")
            if not checked.wrong:
                click.echo(f"{name}: {'usable' if checked.facts.reported else 'as it should be'}")
    if as_json:
        print_json(documents)
    sys.exit(1 if any(one["wrong"] or one["not_preloaded"] for one in documents) else 0)


@runtime.command()
@_NAME
@SERVER_STATE
@AS_JSON
def remove(name: str, state_dir: Path | None, as_json: bool) -> None:
    """Remove the runtime NAME: no session gets it any more. Those that have it go on; its files go with the last."""
    _, runtimes = _opened(state_dir)
    with runtimes.builder(name, "remove"):
        if runtimes.current_directory(name) is None:
            runtimes.find(name)  # which says what there is
        runtimes.forget(name)
        left = runtimes.clear_all(name)
    if as_json:
        print_json({"name": name, "still_in_use": bool(left)})
    else:
        still = "; sessions still use it, and its files go with the last" if left else ""
        say(f"the runtime {name} is removed{still}")


def _opened(state_dir: Path | None) -> tuple[Settings, builds.Runtimes]:
    os.umask(0o022)  # what is built is for guests, which have uids of their own
    settings = settings_of(state_dir=state_dir)
    return settings, builds.Runtimes(settings.state_dir / builds.FOLDER)


def _tiers(given: Sequence[str]) -> list[list[str]]:
    from belljar.client.building import modules_of

    return [modules_of(text) for text in given]


def working(work: Callable[[Say], Awaitable[T]], interrupted: str = "nothing was changed") -> T:
    """Do it, telling each step; a signal ends it, and `interrupted` is what it says then."""
    done: list[T] = []
    failures: list[BelljarError | OSError] = []
    signals: list[int] = []

    async def until_signalled(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            async for number in received:
                signals.append(number)
                scope.cancel()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_signalled, tasks.cancel_scope)
            try:
                with _steps() as say:
                    done.append(await work(say))
            except (BelljarError, OSError) as error:
                failures.append(error)  # not in a group
            tasks.cancel_scope.cancel()

    anyio.run(main)
    if done:
        return done[0]
    if signals:
        say(f"interrupted; {interrupted}")
        sys.exit(128 + signals[0])
    raise failures[0]


@contextmanager
def _steps() -> Iterator[Say]:
    """Steps on standard error: as they pass on a terminal, else a line each."""
    if not is_terminal(sys.stderr):
        yield say
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda step: progress.update(task, description=step)


def _told(build: Build, as_json: bool) -> None:
    facts = build.facts
    if as_json:
        print_json(_document(facts))
        return
    _print_modules(facts)
    say(
        f"the runtime {facts.name} is ready: Python {facts.python}, {len(facts.packages)} packages. "
        f"Choose it with belljar run --runtime {facts.name}, or the header belljar-runtime: {facts.name}"
    )


def _print_modules(facts: Facts) -> None:
    from belljar.client.building import advice

    if not facts.modules:
        return
    rows = []
    for report in facts.modules:
        memory = f"{report.memory_bytes / 1e6:.0f}"
        word = "not imported ahead" if report.problems else "imported ahead"
        rows.append((report.module, f"{report.milliseconds:.0f}", memory, word))
    print_table(("module", "ms", "MB", ""), rows, right=("ms", "MB"))
    for report in facts.modules:
        for problem in report.problems:
            click.echo(f"{report.module}: {problem.kind}: {problem.detail}; {advice(problem)}")


def _document(facts: Facts) -> dict[str, Any]:
    from belljar.client.building import advice

    return {
        "name": facts.name,
        "python": facts.python,
        "packages": facts.packages,
        "preload": {name: list(tier) for name, tier in facts.tiers.items()},
        "modules": [
            {name: value for name, value in asdict(report).items() if name != "problems"}
            for report in facts.modules
        ],
        "not_preloaded": [
            {"module": report.module, **asdict(problem), "advice": advice(problem)}
            for report in facts.modules
            for problem in report.problems
        ],
        "programs": facts.programs,
        "built_at": facts.built_at,
        "belljar": facts.belljar,
    }
