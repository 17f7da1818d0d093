"""What servers advise programs to do, as the command says it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import belljar
from belljar.commands.asking import _IN_OUR_WORDS, in_our_words


def sentences() -> Iterator[str]:
    """All texts of the gateway, with what is filled in left out."""
    for path in (Path(belljar.__file__).parent / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            yield "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


@pytest.mark.parametrize("theirs", [theirs for theirs, _ in _IN_OUR_WORDS])
def test_a_server_still_says_what_is_said_otherwise_here(theirs: str) -> None:
    assert any(theirs in text for text in sentences())


def test_nothing_of_a_request_is_left() -> None:
    for theirs, ours in _IN_OUR_WORDS:
        assert in_our_words(f"It is so. {theirs} More.") == f"It is so. {ours} More."
