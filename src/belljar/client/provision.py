"""Makes a machine ready: what Debian has to bring, and the default runtime, from the locks that come with Belljar.

All of it can be done again and again: what is as it should be is left alone, and what was broken off goes on.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path

import anyio
import anyio.to_thread

import belljar
from belljar import interpreters, private
from belljar.client import lay_pip, shell_tools, uv
from belljar.errors import InvalidRequest

Say = Callable[[str], None]
"""Told of each step as it begins."""

LOCKS = Path(belljar.__file__).parent / "locks"
"""In a checkout links to those of the project."""
LAY_FONTS = Path(__file__).with_name("lay_fonts.py")
MARK = ".made-from"
"""In a runtime that is whole: what it was made from."""
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_LOOK_SECONDS = 0.5
_FONTS_SECONDS = 600


def missing_packages() -> list[str]:
    """The Debian packages that this machine lacks, and without which there is no jail, or nothing to make it from."""
    missing = []
    # Found in the same way as pyseccomp, which compiles the guests' filter, finds it.
    if ctypes.util.find_library("seccomp") is None:
        missing.append("libseccomp2")
    named = any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if not named and not _CERTIFICATES.exists():
        missing.append("ca-certificates")
    return missing


def missing_programs() -> list[str]:
    """Programs that commands in the jail like to have, and that are not in its /usr/bin. They can be done without."""
    return [program for program in shell_tools.PACKAGES if not os.access(f"/usr/bin/{program}", os.X_OK)]


def apt_line(packages: list[str]) -> str:
    """The one line that installs them."""
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


async def provide_packages(say: Say, *, may_install: bool) -> None:
    """Install what is missing, or say the line that does.

    Raises InvalidRequest for what cannot be done without, where it is not to be installed, or cannot be.
    """
    needed, liked = missing_packages(), missing_programs()
    wanted = needed + [shell_tools.PACKAGES[program] for program in liked]
    if not wanted:
        return
    has_apt = shutil.which("apt-get") is not None
    if may_install and has_apt:
        if os.geteuid() != 0:
            raise InvalidRequest(f"only root installs packages. Install them with: {apt_line(wanted)}")
        say(f"installing Debian packages: {' '.join(wanted)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *wanted]):
            done = await anyio.run_process(
                ["apt-get", "-qq", *command], check=False, env=environment, stderr=subprocess.STDOUT
            )
            if done.returncode:
                said = done.stdout.decode("utf-8", "replace").strip()
                if needed:
                    raise InvalidRequest(f"apt-get {command[0]} failed and says:\n{said}")
                say(
                    f"commands in the jail go without {', '.join(liked)}: apt-get {command[0]} failed and says:\n{said}"
                )
                return
        return
    if needed:
        raise InvalidRequest(
            f"this machine lacks {', '.join(needed)}. Install this with the next line, then run belljar setup "
            f"again:\n{apt_line(wanted)}"
            if has_apt
            else f"this machine lacks what Debian calls {', '.join(needed)}: install the same from your distribution"
        )
    if has_apt:
        say(f"commands in the jail go without {', '.join(liked)}. To have them: {apt_line(wanted)}")


async def provide_runtime(runtime: Path, say: Say) -> bool:
    """Make the default runtime at this whole path. Returns whether there was anything to do.

    One that works is brought up to its lock where it lies, since it may be in use. Raises InvalidRequest with what
    failed and uv's own words, and OSError for a place that cannot be written.
    """
    os.umask(0o022)  # guests have uids of their own: it must be readable to all
    runtime.parent.mkdir(parents=True, exist_ok=True)
    async with _alone(runtime.with_name(f".{runtime.name}.lock"), say):
        made_from = _made_from(runtime)
        if _mark_of(runtime) == made_from and _works(runtime):
            return False
        tool = await _uv(say)
        lock = LOCKS / "runtime-data.txt"
        python = runtime / "bin" / "python"
        mark = _mark_of(runtime)
        is_moved = mark is not None and mark["place"] != str(runtime)
        if is_moved or not _works(runtime):
            say(f"making {runtime}")
            base: str = getattr(sys, "_base_executable", None) or sys.executable
            made = ["venv", "--quiet", "--clear", "--no-project", "--python", base, str(runtime)]
            await uv.run(tool, made, f"No environment could be made with {base}", runtime.parent)
        (runtime / MARK).unlink(missing_ok=True)
        say(f"installing {_count(lock)} packages, a few hundred MB to download where uv's cache lacks them")
        # No compiler is asked for: what has no wheel for this machine is an error, and names itself. And guests see
        # the runtime read-only, and could never keep the bytecode that they compile.
        sync = ["pip", "sync", "--quiet", "--python", str(python), "--require-hashes", "--no-build"]
        failure = "What is locked could not be installed"
        await uv.run(tool, [*sync, "--compile-bytecode", str(lock)], failure, runtime.parent)
        say(f"laying fonts into {runtime / 'share' / 'fonts'}")
        with anyio.fail_after(_FONTS_SECONDS):
            laid = await anyio.run_process([str(python), "-I", str(LAY_FONTS)], check=False)
        if laid.returncode:
            raise InvalidRequest(
                f"the fonts could not be laid: {laid.stderr.decode('utf-8', 'replace').strip()}"
            )
        site = interpreters.packages_of(runtime)
        if site is None:
            raise InvalidRequest(f"{runtime} has become something else while it was made. Try it again")
        lay_pip.lay(site)
        (runtime / MARK).write_text(json.dumps(made_from, indent=1), "utf-8")
    return True


@contextlib.asynccontextmanager
async def _alone(lock: Path, say: Say) -> AsyncIterator[None]:
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        is_told = False
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not is_told:
                    say("another set-up is under way: waiting for its end")
                is_told = True
                await anyio.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(fd)


def _made_from(runtime: Path) -> dict[str, str]:
    """The place, for scripts name their interpreter by its full path, the Python, and the files."""
    parts = {"place": str(runtime), "python": ".".join(map(str, sys.version_info[:2]))}
    for path in (LOCKS / "runtime-data.txt", LAY_FONTS, lay_pip.PACKAGE):
        parts[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return parts


def _mark_of(runtime: Path) -> dict[str, str] | None:
    try:
        mark = json.loads((runtime / MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, dict) and isinstance(mark.get("place"), str) else None


def _works(runtime: Path) -> bool:
    try:
        return not interpreters.about(runtime / "bin" / "python", interpreters.packages_of(runtime)).is_old
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def _count(lock: Path) -> int:
    return sum("==" in line for line in lock.read_text("utf-8").splitlines())


async def _uv(say: Say) -> Path:
    """The one that is there, or the locked one, brought by pip."""
    with contextlib.suppress(InvalidRequest):
        return await anyio.to_thread.run_sync(uv.find)
    if find_spec("pip") is None:
        await anyio.to_thread.run_sync(uv.find)  # which says how it can be brought
    private.make_directory(uv.BROUGHT.parent)  # the state directory, where nothing else is said
    say(f"bringing uv into {uv.BROUGHT}")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    command += ["--upgrade", "--target", str(uv.BROUGHT), "--requirement", str(LOCKS / "uv.txt")]
    done = await anyio.run_process(command, check=False)
    if done.returncode:
        raise InvalidRequest(
            f"uv could not be brought; pip says:\n{done.stderr.decode('utf-8', 'replace').strip()}"
        )
    return await anyio.to_thread.run_sync(uv.find)
