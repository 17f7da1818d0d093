"""Builds a runtime: an environment made by uv from what was locked, its modules tried in the jail, swapped in whole."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

import belljar
from belljar import builds, errors, interpreters, link, orders, states
from belljar.builds import Build, Facts, ModuleReport, Problem, Runtimes
from belljar.client import lay_pip, requirements, uv
from belljar.errors import InvalidRequest
from belljar.records import MIB, Limits
from belljar.settings import Settings
from belljar.wire.resources import rfc3339

Say = Callable[[str], None]
"""Told of each step as it begins."""

PROBE_LIMITS = Limits(memory_bytes=4096 * MIB, pids=512, cpus=1)
PROBE_SECONDS = 120
"""For the import of one module."""
WARM_SECONDS = 600
"""For all zygotes to come up."""
_PROBE = Path(__file__).with_name("imported_alone.py")
_RUN_PROBE = """
import subprocess, sys
done = subprocess.run([sys.executable, "-I", "-B", "imported_alone.py", {module!r}], stdout=subprocess.PIPE)
sys.stdout.write(done.stdout.decode("utf-8", "replace"))
sys.exit(done.returncode and 9)
"""
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*(?:==\s*([^\s;\\]+)|@)")
_MOST_CHARACTERS = 600
_ADVICE = {
    "fails": "code that imports it will see the same: mend it, or take it out",
    "hangs": "take it out of --preload: it is imported when code asks for it",
    "threads": "no process with threads can be forked. Take it out of --preload: it is imported when code asks for it",
    "opens": "no session has what a zygote has open. Take it out of --preload: it is imported when code asks for it",
    "forks": "a zygote has no children but sessions. Take it out of --preload: it is imported when code asks for it",
    "writes": "a runtime is read-only. Take it out of --preload: it is imported when code asks for it, without that",
}
"""What to do about a problem, by its kind."""


@dataclass(frozen=True)
class Wanted:
    """What is to be built."""

    requirements: str
    folder: Path
    """In which paths in the requirements begin."""
    python: str
    """A path, or a version that uv looks for."""
    preload: Sequence[Sequence[str]] = ()
    pinned: str = ""
    """An earlier lock, whose versions are kept as far as they fit."""


@dataclass(frozen=True)
class Checked:
    """What a check has found."""

    facts: Facts
    wrong: list[str]
    """What keeps it from being used as it should be; empty where nothing does."""
    tiers: list[states.Tier]


def modules_of(text: str) -> list[str]:
    """The modules of one `--preload`. Raises InvalidRequest."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not _MODULE.fullmatch(name):
            raise InvalidRequest(f"--preload: {name!r} is no module's name; write --preload numpy,torch.nn")
    return names


def advice(problem: Problem) -> str:
    """What to do about it."""
    return _ADVICE[problem.kind]


async def build(settings: Settings, runtimes: Runtimes, name: str, wanted: Wanted, say: Say) -> Build:
    """Build the runtime `name`, and have new sessions get it. Whoever calls is its builder (`Runtimes.builder`).

    Raises InvalidRequest with uv's own words, JailUnavailable. What is not whole in the end is the builder's to delete.
    """
    tool = await anyio.to_thread.run_sync(uv.find)
    directory = runtimes.new_directory(name)
    environment = directory / builds.ENVIRONMENT
    say("making the environment")
    made = ["venv", "--quiet", "--no-project", "--relocatable", "--python", wanted.python, str(environment)]
    await uv.run(tool, made, f"No environment could be made with the Python {wanted.python!r}", wanted.folder)
    python = environment / "bin" / "python"
    about = await _about(python)
    own = set(os.listdir(environment / "bin"))
    say(f"resolving the requirements for Python {about.version}")
    lock = await _resolved(tool, directory, python, wanted)
    say("installing what was locked")
    sync = ["pip", "sync", "--quiet", "--python", str(python), "--require-hashes", "--no-build", str(lock)]
    await uv.run(tool, sync, "What was locked could not be installed", wanted.folder)
    site = _site(environment, about.version)
    lay_pip.lay(site)
    say("compiling")
    await compile_all(python, site)
    if closed := await anyio.to_thread.run_sync(unreadable, environment):
        raise InvalidRequest(_closed(closed, environment))
    about = await _about(python, site)
    versions = await _asked(interpreters.versions, python, site)
    owners, requires = await _asked(interpreters.packages, python, site)
    facts = Facts(
        name=name,
        python=about.version,
        base_python=about.base_python,
        base_prefix=about.base_prefix,
        packages=versions,
        direct=direct_of(lock.read_text("utf-8")),
        owners=owners,
        requires=requires,
        programs=sorted(set(os.listdir(environment / "bin")) - own),
        folder=str(wanted.folder),
        preload=[list(modules) for modules in wanted.preload],
        modules=[],
        built_at=rfc3339(time.time_ns() // 1000),
        belljar=belljar.__version__,
    )
    try:
        facts = builds.read(Facts, asdict(facts))
    except ValueError as error:  # as its packages' own files may say anything
        raise InvalidRequest(f"what was installed cannot be told: {error}") from error
    reports = await try_modules(settings, environment, facts, say)
    return runtimes.make_current(directory, replace(facts, modules=reports))


async def check(settings: Settings, found: Build, say: Say) -> Checked:
    """Look whether a runtime is as it was built, and try it in the jail. What is reported of its modules is kept."""
    facts, environment = found.facts, found.environment
    wrong: list[str] = []
    tiers: list[states.Tier] = []
    say(f"looking at {found.directory}")
    site = _site(environment, facts.python)
    python = environment / "bin" / "python"
    try:
        about = await _about(python, site)
        if about.version != facts.python:
            wrong.append(f"its Python was {facts.python} and is {about.version} now")
        wrong += differences(found.lock, await _asked(interpreters.versions, python, site))
    except InvalidRequest as error:
        wrong.append(str(error))
    if closed := await anyio.to_thread.run_sync(unreadable, environment):
        wrong.append(_closed(closed, environment))
    if not wrong:
        facts = replace(facts, modules=await try_modules(settings, environment, facts, say))
        if facts.reported.keys() != found.facts.reported.keys():
            builds.write_facts(found.directory, facts)
        say("bringing up its zygotes")
        tiers = await _brought_up(settings, environment, facts)
        wrong += [f"the tier {tier.name} has failed: {tier.why}" for tier in tiers if tier.state != "ready"]
    return Checked(facts, wrong, tiers)


async def try_modules(settings: Settings, environment: Path, facts: Facts, say: Say) -> list[ModuleReport]:
    """Import each module that is to be imported ahead, alone and in the jail; and see that code runs there at all.

    Raises JailUnavailable, SessionLost.
    """
    modules = list(dict.fromkeys(module for tier in facts.preload for module in tier))
    say("starting a jail on it")
    reports = []
    async with link.start(_for_trying(settings, environment, {})) as keeper:
        await keeper.open("first", settings.limits())
        first = await keeper.execute("first", orders.Run("print(6 * 7)", PROBE_SECONDS))
        if first.stdout.strip() != "42":
            raise errors.SessionLost(f"no code runs on it: {first.outcome.message} {first.stderr}".strip())
        await keeper.close("first")
        for number, module in enumerate(modules, 1):
            say(f"importing {module} ({number} of {len(modules)})")
            reports.append(await _tried(keeper, f"probe-{number}", module))
    return reports


async def _tried(keeper: link.Keeper, session: str, module: str) -> ModuleReport:
    await keeper.open(session, PROBE_LIMITS)
    await keeper.put(session, _PROBE.name, await anyio.Path(_PROBE).read_bytes())
    code = _RUN_PROBE.format(module=module)
    result = await keeper.execute(session, orders.Run(code, PROBE_SECONDS, env=builds.ONE_THREAD))
    await keeper.close(session)
    status, said = result.outcome.status, result.stderr.strip()[-_MOST_CHARACTERS:]
    if status == "timed_out":
        problem = Problem(kind="hangs", detail=f"it was not imported within {PROBE_SECONDS} seconds")
        return ModuleReport(
            module=module, milliseconds=PROBE_SECONDS * 1000, memory_bytes=0, problems=[problem]
        )
    try:
        told: dict[str, Any] = json.loads(result.stdout)  # by code that has run the module
        problems = [{"kind": kind, "detail": detail[:_MOST_CHARACTERS]} for kind, detail in told["problems"]]
        report = {
            "module": module,
            "milliseconds": round(told["seconds"] * 1000, 1),
            "memory_bytes": told["memory_bytes"],
            "problems": problems,
        }
        read: ModuleReport = builds.read(ModuleReport, report)
        return read
    except (ValueError, KeyError, TypeError):
        why = result.outcome.message if status != "exited" else "the process ended without a word"
        problem = Problem(kind="fails", detail=f"{why} {said}".strip())
        used = round(result.usage.wall_seconds * 1000, 1)
        return ModuleReport(module=module, milliseconds=used, memory_bytes=0, problems=[problem])


async def _brought_up(settings: Settings, environment: Path, facts: Facts) -> list[states.Tier]:
    """Its tiers, all of them imported one on top of the other, as they are in use."""
    async with link.start(_for_trying(settings, environment, facts.tiers)) as keeper:
        with anyio.move_on_after(WARM_SECONDS):
            await keeper.warm()
        return keeper.tiers


def _for_trying(settings: Settings, environment: Path, tiers: dict[str, tuple[str, ...]]) -> Settings:
    return settings.model_copy(update={"runtime": environment, "preload": tiers, "parked": 0})


async def _resolved(tool: Path, directory: Path, python: Path, wanted: Wanted) -> Path:
    """Write requirements and lock. Returns the lock."""
    options = requirements.options_of(wanted.requirements)
    kept, lock = directory / builds.REQUIREMENTS, directory / builds.LOCK
    kept.write_text(wanted.requirements, "utf-8")
    if wanted.pinned:
        lock.write_text(wanted.pinned, "utf-8")
    compiled = ["pip", "compile", "--quiet", "--no-build", "--generate-hashes", "--no-header"]
    compiled += [
        "--no-emit-index-url",
        "--no-emit-find-links",
    ]  # those of uv's environment are not for a file
    compiled += ["--python", str(python), "--output-file", str(lock)]
    await uv.run(tool, [*compiled, str(kept)], "The requirements could not be resolved", wanted.folder)
    lock.write_text(options + lock.read_text("utf-8"), "utf-8")
    return lock


async def compile_all(python: Path, site: Path) -> None:
    """Guests see the runtime read-only and could never keep the bytecode that they compile.

    What does not compile says so when it is imported. Without site nothing of the packages is run.
    """
    nothing = subprocess.DEVNULL
    process = await anyio.open_process(
        [str(python), "-I", "-S", "-m", "compileall", "-q", "-j", "0", str(site)],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        start_new_session=True,
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            # With its workers, which would outlive it and wait for work for ever.
            os.killpg(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.wait()


def _site(environment: Path, version: str) -> Path:
    return environment / "lib" / f"python{'.'.join(version.split('.')[:2])}" / "site-packages"


async def _about(python: Path, site: Path | None = None) -> interpreters.About:
    found: interpreters.About = await _asked(interpreters.about, python, site)
    if found.is_old:
        raise InvalidRequest(
            f"{found.base_python} is {found.implementation} {found.version}; CPython 3.11 or newer is needed: "
            "name one by --python"
        )
    return found


async def _asked(question: Callable[[Path, Path | None], Any], python: Path, site: Path | None) -> Any:
    try:
        return await anyio.to_thread.run_sync(question, python, site)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise InvalidRequest(
            f"the Python {python} does not run: {getattr(error, 'stderr', None) or error}"
        ) from error


def unreadable(environment: Path) -> list[Path]:
    """Where guests have uids of their own: what in the environment is closed to them, the first few."""
    found: list[Path] = []
    if os.geteuid() != 0:
        return found
    for folder, names, files in os.walk(environment):
        for name, needed in (*((name, 0o005) for name in names), *((name, 0o004) for name in files)):
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.lstat(path).st_mode & needed != needed:
                found.append(Path(path))
                if len(found) == 3:
                    return found
    return found


def _closed(paths: Sequence[Path], environment: Path) -> str:
    return (
        f"guests have uids of their own and cannot read {', '.join(map(str, paths))}: `chmod -R a+rX {environment}`. "
        "Where they came from uv's cache, `uv cache clean` and a umask of 022 keep it from happening again"
    )


def direct_of(lock: str) -> list[str]:
    """The packages of a lock that the requirements name themselves: uv says so of each."""
    found: list[str] = []
    name = ""
    for line in lock.splitlines():
        if line[:1] not in ("", " ", "#"):
            pinned = _PINNED.match(line)
            name = pinned[1] if pinned else ""
        elif name and line.startswith("    #") and " -r " in f"{line} " and name not in found:
            found.append(name)
    return found


def differences(lock: str, packages: dict[str, str]) -> list[str]:
    """In what an environment is not what its lock says."""
    plain = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in packages.items()}
    found = []
    for line in lock.splitlines():
        if pinned := _PINNED.match(line):
            name = re.sub(r"[-_.]+", "-", pinned[1]).lower()
            if name not in plain:
                found.append(f"{pinned[1]} is locked and not installed")
            elif pinned[2] and plain[name] != pinned[2]:
                found.append(f"{pinned[1]} is locked as {pinned[2]}, and {plain[name]} is installed")
    return found
