"""What the zygotes of the default runtime import ahead."""

from __future__ import annotations

DATA_TIERS: dict[str, tuple[str, ...]] = {
    "bare": (
        "base64",
        "csv",
        "datetime",
        "decimal",
        "hashlib",
        "itertools",
        "math",
        "pathlib",
        "random",
        "statistics",
        "string",
        "subprocess",
        "textwrap",
    ),
    "tables": ("numpy", "pandas"),
    "charts": ("matplotlib.pyplot", "matplotlib.backends.backend_agg"),
    "everything": (
        "scipy.stats",
        "scipy.optimize",
        "scipy.integrate",
        "sympy",
        "seaborn",
        "openpyxl",
    ),
}
"""A fork costs what its parent has in memory, and an import costs more: so there is a zygote for each."""
