"""The programs of docs/adapters.md, run as they stand with a model that is given to them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "adapters.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def run(adapter: str, model: Any) -> str:
    """What the program that imports this adapter prints."""
    [program] = [block for block in BLOCKS if re.search(rf"^(from|import) {adapter}\b", block, re.MULTILINE)]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(program, {"__name__": "__main__", "model": model})
    return printed.getvalue()
