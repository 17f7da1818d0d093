"""What a program will import, as its text says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.imports import MAX_CHARACTERS, imported


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("", []),
        ("print(1 + 1)", []),
        ("import numpy", ["numpy"]),
        ("import numpy as np, pandas.io", ["numpy", "pandas"]),
        ("from matplotlib import pyplot as plt", ["matplotlib"]),
        ("def f():\n    if x:\n        import scipy.stats", ["scipy"]),
        ("__import__('sympy').pi", ["sympy"]),
        ("import importlib\nimportlib.import_module('seaborn.utils')", ["importlib", "seaborn"]),
        ("from importlib import import_module as im\nimport_module('json')", ["importlib", "json"]),
        ("from . import here\nfrom .there import x", []),
        ("\N{BOM}import numpy as np\nnp.load('a')", ["numpy"]),
        ("text = 'import numpy'", []),
        ("import pandas as pd\npd.DataFrame().plot()", ["matplotlib", "pandas"]),
        ("import pandas as pd\npd.read_excel('a.xlsx')", ["openpyxl", "pandas"]),
        ("__import__(name)", []),
        ("импорт = 1\nimport модуль", ["модуль"]),
        # not Python, as a whole
        (
            "%matplotlib inline\nimport numpy as np, pandas\nfrom scipy.stats import norm",
            ["numpy", "pandas", "scipy"],
        ),
        ("import numpy\nprint(", ["numpy"]),
        ("\0import numpy", []),
    ],
)
def test_names(code: str, names: list[str]) -> None:
    assert imported(code, {}) == names


def test_attached_modules_are_followed_once() -> None:
    attached = {
        "one.py": b"import two, numpy",
        "two.py": b"import one\nimport sympy",
        "data.csv": b"import scipy",
    }
    assert imported("import one, data", attached) == ["data", "numpy", "one", "sympy", "two"]
    assert imported("print(1)", attached) == []
    assert imported("import one", {"one.py": b"\xff\xfeimport numpy"}) == ["one"]


@pytest.mark.parametrize(
    "code",
    [
        "import numpy\n" + "(" * 100_000,
        "import numpy\n" + "-" * 200_000 + "1",
        "import numpy\n" + "[" * 5000 + "]" * 5000,
        "import numpy\n" + "a.b" * 200_000,
        "import numpy\nx = " + "1 + " * 50_000 + "1",
        "import numpy\n(\nfrom " + "a" * 250_000,
        "import numpy\n(\nfrom " + "a." * 100_000 + " import",
    ],
)
def test_code_that_is_hard_to_read_is_read_in_part(code: str) -> None:
    assert imported(code, {}) == ["numpy"]


def test_what_is_very_long_is_looked_at_in_part() -> None:
    assert imported("import numpy\n" + "#" * MAX_CHARACTERS + "\nimport sympy", {}) == ["numpy"]


@given(st.text() | st.text(alphabet="import from_()'.,\n\t#*"))
def test_any_text_has_an_answer(code: str) -> None:
    assert all(
        isinstance(name, str) and name
        for name in imported(f"import {code}", {"a.py": code.encode("utf-8", "replace")})
    )
