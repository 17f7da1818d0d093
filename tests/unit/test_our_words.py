"""What servers advise programs to do, as the command and the library say it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import belljar
from belljar.client.refused import _BY_COMMAND, _BY_LIBRARY, for_command, for_library


def sentences() -> Iterator[str]:
    """All texts of the gateway, with what is filled in left out."""
    for path in (Path(belljar.__file__).parent / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            yield "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


@pytest.mark.parametrize("theirs", [*_BY_COMMAND])
def test_a_server_still_says_what_is_said_otherwise_here(theirs: str) -> None:
    assert any(theirs in text for text in sentences())


@pytest.mark.parametrize(("put", "otherwise"), [(for_command, _BY_COMMAND), (for_library, _BY_LIBRARY)])
def test_what_is_for_requests_is_said_otherwise(put: Callable[[str], str], otherwise: dict[str, str]) -> None:
    assert set(otherwise) <= set(_BY_COMMAND)
    for theirs, ours in otherwise.items():
        assert put(f"It is so. {theirs} More.") == f"It is so. {ours} More."
