"""What a Python says of itself and of what is installed in it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OLDEST = (3, 11)
_SECONDS = 60

_BEGIN = """
import sys
if len(sys.argv) > 1:
    # Without site, and so without what packages have run when a Python starts: only to be looked at.
    sys.path.append(sys.argv[1])
"""
_ABOUT = f"""{_BEGIN}
import json
print(json.dumps({{
    "version": sys.version.split()[0],
    "implementation": sys.implementation.name,
    "base_prefix": sys.base_prefix,
    "base_python": getattr(sys, "_base_executable", None) or sys.executable,
}}))
"""
_VERSIONS = f"""{_BEGIN}
import importlib.metadata, json
own = sys.argv[1:] or [entry for entry in sys.path if entry.startswith(sys.prefix)]
print(json.dumps({{d.name: d.version for d in importlib.metadata.distributions(path=own) if d.name}}))
"""
_PACKAGES = f"""{_BEGIN}
import importlib.metadata as metadata, json, re
def plain(name):
    return re.sub("[-_.]+", "-", name).lower()
owners = {{name: [plain(owner) for owner in own] for name, own in metadata.packages_distributions().items()}}
requires = {{
    plain(dist.name): [
        plain(re.match(r"[\\w.-]+", line)[0]) for line in dist.requires or () if "extra ==" not in line
    ]
    for dist in metadata.distributions() if dist.name
}}
print(json.dumps([owners, requires]))
"""


@dataclass(frozen=True)
class About:
    """What a Python is."""

    version: str
    implementation: str
    base_prefix: str = ""
    base_python: str = ""

    @property
    def is_old(self) -> bool:
        """Whether it is none that code can run on here."""
        return self.implementation != "cpython" or tuple(map(int, self.version.split(".")[:2])) < OLDEST


def about(python: Path, only: Path | None = None) -> About:
    """Ask it. With `only`, the directory in which packages are, nothing that these have brought is run.

    Raises OSError, ValueError, subprocess.SubprocessError.
    """
    return About(**_asked(python, _ABOUT, only))


def versions(python: Path, only: Path | None = None) -> dict[str, str]:
    """What is installed there, by name. To read that takes far longer than the rest. Raises the same."""
    found: dict[str, str] = _asked(python, _VERSIONS, only)
    return found


def packages(python: Path, only: Path | None = None) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """For each name that can be imported the distributions it comes from; for each of these, what it requires.

    Raises the same.
    """
    owners, requires = _asked(python, _PACKAGES, only)
    return owners, requires


def packages_of(environment: Path) -> Path | None:
    """The directory in which all packages of a virtual environment are; None for what is no such environment.

    What packages have run whenever a Python starts (`.pth` files) is for the jail, and not for a look at them.
    """
    try:
        config = (environment / "pyvenv.cfg").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = list(environment.glob("lib/python3.*/site-packages"))
    return found[0] if len(found) == 1 and "include-system-site-packages = false" in config else None


def _asked(python: Path, question: str, only: Path | None) -> Any:
    asked = [str(python), "-I", *(("-S",) if only else ()), "-c", question, *((str(only),) if only else ())]
    answer = subprocess.run(asked, capture_output=True, check=True, timeout=_SECONDS, text=True, env={})
    return json.loads(answer.stdout)
