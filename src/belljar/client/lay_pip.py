"""`python -m pip` in the jail: many programs begin by it, for packages that are there already."""

from __future__ import annotations

import shutil
from pathlib import Path

PACKAGE = Path(__file__).with_name("laid_pip.py")
_MAIN = "import sys\n\nfrom pip import main\n\nsys.exit(main())\n"


def lay(site: Path) -> None:
    """Lay `laid_pip` among a runtime's packages, which lie in `site`; a pip that is there stays. Raises OSError."""
    place = site / "pip"
    if (place / "_internal").exists():
        return
    place.mkdir(exist_ok=True)
    shutil.copyfile(PACKAGE, place / "__init__.py")
    (place / "__main__.py").write_text(_MAIN, "utf-8")
