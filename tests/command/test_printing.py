"""What commands print as JSON."""

from __future__ import annotations

import json

import pytest

from belljar.commands.printing import print_json


def test_a_line_is_one_whoever_counts_them(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    document = {"said": "a\u2028b\u2029c\x85d é"}
    print_json(document, is_line=True)
    (line,) = capfdbinary.readouterr().out.decode().splitlines()
    assert json.loads(line) == document
