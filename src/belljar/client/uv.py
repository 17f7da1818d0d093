"""uv, which makes environments and resolves what goes into them: where it is, and what it says when it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import platformdirs

from belljar.errors import InvalidRequest

BROUGHT = Path(platformdirs.user_data_dir("belljar", appauthor=False)) / "uv"
"""Where `belljar setup` brings it, where the machine has none."""
OLDEST = (0, 8, 0)
"""Older ones were never tried."""
_SECONDS = 20
_FOLDED = re.compile(r"[\s│]+")
"""Where uv goes on in the next line, which is anywhere: paths are of any length."""
_NEWS = re.compile(r"^warning: The `UV_NATIVE_TLS`.*\n?", re.MULTILINE)
_HINTS = (
    (
        (
            "error sending request",
            "dns error",
            "Failed to fetch",
            "network was disabled",
            "tcp connect error",
        ),
        "The package index cannot be reached. UV_DEFAULT_INDEX names another one; packages that lie in a folder are "
        "found with UV_FIND_LINKS=FOLDER, and with UV_OFFLINE=1 and UV_NO_INDEX=1 nothing else is asked.",
    ),
    (
        (
            "no usable wheels",
            "building from source",
            "--no-build",
            "no wheels with a matching",
            "only-binary",
        ),
        "Nothing is compiled here: each package needs a wheel for this Python and machine. Ask for a version that has "
        "one, choose another --python, or build the wheel yourself and name its folder in UV_FIND_LINKS.",
    ),
    (
        ("all requirements must have a hash",),
        "A runtime is made of wheels, and a directory or a repository is none. Build one (uv build --wheel), and name "
        "its file, or its folder in UV_FIND_LINKS.",
    ),
    (
        ("relative URL without a base",),
        "Write the whole path of a folder in --find-links, or name it in UV_FIND_LINKS.",
    ),
    (
        ("was not found in the package registry",),
        "The package index has none of that name. UV_DEFAULT_INDEX names another index, UV_FIND_LINKS a folder.",
    ),
    (
        ("No solution found",),
        "No set of versions fits all of the requirements: loosen one of those that uv names.",
    ),
)


def find() -> Path:
    """The uv to use: beside Belljar's own Python, on PATH, or one that was brought.

    Raises InvalidRequest with the command that brings it.
    """
    beside = Path(sys.prefix) / "bin" / "uv"
    tried = []
    for place in (beside, shutil.which("uv"), BROUGHT / "bin" / "uv"):
        if place is None or not os.access(place, os.X_OK):
            continue
        try:
            # It is run, not only looked up: a shim on PATH may have nothing behind it.
            said = subprocess.run(
                [place, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True
            )
            version = re.search(r"(\d+)\.(\d+)\.(\d+)", said.stdout)
        except (OSError, subprocess.SubprocessError):
            continue
        if version and tuple(map(int, version.groups())) >= OLDEST:
            return Path(place)
        tried.append(f"{place} is {said.stdout.strip()}")
    older = f" ({'; '.join(tried)}, which is too old)" if tried else ""
    raise InvalidRequest(
        f"runtimes are built by uv {'.'.join(map(str, OLDEST))} or newer, and there is none{older}. Bring it with: "
        f"python3 -m pip install uv --target {Path(sys.prefix) / 'share' / 'uv'} && "
        f"ln -s ../share/uv/bin/uv {beside}"
    )


async def run(uv: Path, arguments: Sequence[str], what: str, cwd: Path) -> None:
    """Run it. Raises InvalidRequest with `what` could not be done, uv's own words, and what may help."""
    environment = {
        **os.environ,
        # uv trusts a list of its own unless told to trust what the machine trusts, and a Python that it would download
        # is not the machine's.
        "UV_NATIVE_TLS": os.environ.get("UV_NATIVE_TLS", "1"),
        "UV_SYSTEM_CERTS": os.environ.get("UV_SYSTEM_CERTS", "1"),
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
    }
    for foreign in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_CONFIG_FILE"):
        environment.pop(foreign, None)
    done = await anyio.run_process([str(uv), *arguments], check=False, cwd=cwd, env=environment)
    if done.returncode:
        raise InvalidRequest(f"{what}. {explained(done.stderr.decode('utf-8', 'replace'))}")


def explained(words: str) -> str:
    """What uv said, and what may help."""
    words = _NEWS.sub("", words).strip() or "It ended without a word."
    flat = _FOLDED.sub(" ", words)
    hint = next((hint for marks, hint in _HINTS if any(mark in flat for mark in marks)), "")
    return f"uv says:\n{words}" + (f"\n{hint}" if hint else "")
