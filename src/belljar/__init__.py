"""Belljar: a self-hosted code execution tool for language models.

>>> from belljar import Sandbox
>>> with Sandbox() as box:
...     print(box.run("print(6 * 7)").text)
42
<BLANKLINE>
"""

from __future__ import annotations

TYPE_CHECKING = (
    False  # as checkers of types take it; `typing` itself takes as long to import as Python to start
)
if TYPE_CHECKING:
    from typing import Any

    from belljar.client.async_sandbox import AsyncSandbox
    from belljar.client.sandbox import Sandbox
    from belljar.client.shown import Image, Result

__all__ = ["AsyncSandbox", "Image", "Result", "Sandbox", "__version__"]
__version__ = "0.1.0"

_PLACES = {"AsyncSandbox": "async_sandbox", "Image": "shown", "Result": "shown", "Sandbox": "sandbox"}


def __getattr__(name: str) -> Any:
    """The library, once it is asked for: keepers and commands do without its imports."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"belljar.client.{_PLACES[name]}"), name)
