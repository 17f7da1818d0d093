"""What a runtime has, as models are told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_PACKAGES = 60
"""That a description names."""


@dataclass(frozen=True)
class Installed:
    """What a runtime has."""

    python: str
    packages: Mapping[str, str]
    """Versions by name."""
    direct: Sequence[str]
    """Packages that were asked for by name; none where that is not known."""
    programs: Sequence[str] = ()
    """Commands that packages have brought."""

    def version(self, name: str) -> str | None:
        """Of a package, by either form of its name: as it is locked, or as it calls itself."""
        return self.packages.get(name) or self.packages.get(name.replace("-", "_"))


_MAIN_PACKAGES = (
    "numpy",
    "pandas",
    "matplotlib",
    "seaborn",
    "scipy",
    "sympy",
    "scikit-learn",
    "statsmodels",
    "openpyxl",
    "pyarrow",
    "pillow",
)


def installed(about: Installed) -> str:
    """What the runtime has, as a sentence: what code is likeliest to ask for by name, and how much more there is."""
    wanted = dict.fromkeys((*_MAIN_PACKAGES, *about.direct))
    named = [f"{name} {version}" for name in wanted if (version := about.version(name))][:MOST_PACKAGES]
    if not named:
        return ""
    more = len(about.packages) - len(named)
    others = f" and {more} more (importlib.metadata lists them)" if more else ""
    return f" Installed, besides the standard library: {', '.join(named)}{others}."
