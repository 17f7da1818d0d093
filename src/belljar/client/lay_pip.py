"""`python -m pip` in the jail: many programs begin by it, for packages that are there already."""

from __future__ import annotations

import shutil
from pathlib import Path

PACKAGE = Path(__file__).with_name("laid_pip.py")


def lay(site: Path) -> None:
    """Lay `laid_pip` among a runtime's packages, which lie in `site`; a pip that is there stays. Raises OSError."""
    place = site / "pip"
    if (place / "_internal").exists():
        return
    place.mkdir(exist_ok=True)
    for name in ("__init__.py", "__main__.py"):
        shutil.copyfile(PACKAGE, place / name)
