"""A name or an attribute that is not there: the one that was probably meant."""

from __future__ import annotations

import builtins
import keyword
import sys
from types import FrameType, ModuleType
from typing import Any

from belljar.guest import values
from belljar.guest.alike import MAX_NAMES, close, listed

_MAX_WITHIN = 3
_ALIASES = {
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "plt": "import matplotlib.pyplot as plt",
    "sns": "import seaborn as sns",
    "sp": "import sympy as sp",
    "sm": "import statsmodels.api as sm",
    "px": "import plotly.express as px",
    "nx": "import networkx as nx",
    "Path": "from pathlib import Path",
    "datetime": "from datetime import datetime",
    "defaultdict": "from collections import defaultdict",
    "Counter": "from collections import Counter",
    "BytesIO": "from io import BytesIO",
    "StringIO": "from io import StringIO",
}


def of_name(error: Any, frame: FrameType | None) -> str | None:
    """For a NameError. `frame` is the innermost of the user's."""
    name = error.name
    if type(name) is not str:
        return None
    if name in _ALIASES:
        return f"It was not imported in this session: {_ALIASES[name]}"
    if name in sys.stdlib_module_names:
        return f"It was not imported in this session: import {name}"
    if name in ("null", "true", "false"):
        return f"In Python it is {({'null': 'None'}).get(name, name.capitalize())}."
    known = [*vars(builtins), *keyword.kwlist]
    if frame is not None:
        known = [*values.variables(frame), *frame.f_globals, *known]
    near = close(name, [other for other in known if type(other) is str and not other.startswith("__")])
    return f"Did you mean {listed(near)}?" if near else None


_GONE = {
    ("DataFrame", "append"): "pd.concat([df, other])",
    ("Series", "append"): "pd.concat([series, other])",
    ("DataFrame", "iteritems"): "df.items()",
    ("Series", "iteritems"): "series.items()",
    ("DataFrame", "ix"): "df.loc or df.iloc",
    ("DataFrame", "applymap"): "df.map",
    ("DataFrame", "as_matrix"): "df.to_numpy()",
    ("DataFrame", "swapaxes"): "df.transpose()",
}
"""What pandas no longer has, by class and name; and what it has instead."""


def of_attribute(error: Any) -> str | None:
    """For an AttributeError."""
    name, owner = error.name, error.obj
    if type(name) is not str or owner is None:
        return None
    kind = type(owner)
    instead = _GONE.get((values.name_of(kind), name))
    if instead and values.package_of(kind) == "pandas":
        return f"This version of pandas does not have it. Use {instead}."
    names = _attributes(owner)
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and issubclass(kind, pandas.DataFrame):
        columns = [label for label in owner.columns[:MAX_NAMES] if type(label) is str]
        near = close(name, [*columns, *names])
        said = f"Close: {listed(near)}. " if near else ""
        return f"{said}The columns are: {listed(columns) or 'none'}."
    if issubclass(kind, ModuleType) and (within := _within(owner, name)):
        return f"The module does not have it, but there is {', '.join(within)}."
    near = close(name, names)
    return f"Did you mean {listed(near)}?" if near else None


def _within(module: Any, name: str) -> list[str]:
    """Attributes of that name of a module's classes; first that of the class with the module's own name."""
    own = values.own_attributes(module) or {}
    title = own.get("__name__")
    if type(title) is not str:
        return []
    found = [
        f"{title}.{place}.{name}"
        for place, value in own.items()
        if issubclass(type(value), type)
        and not place.startswith("_")
        and name in values.class_attributes(value)
    ]
    return sorted(found, key=lambda path: path != f"{title}.{title.rpartition('.')[2]}.{name}")[:_MAX_WITHIN]


def _attributes(owner: Any) -> list[str]:
    """Names that it has, without asking the object itself."""
    kind = type(owner)
    if issubclass(kind, type):
        names = list(values.class_attributes(owner))
    else:
        names = [name for name in values.own_attributes(owner) or () if type(name) is str]
    names += values.class_attributes(kind)
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]
