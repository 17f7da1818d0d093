"""The stack of an interpreter that did not stop, as its handler in C writes it."""

from __future__ import annotations

import pytest

from belljar.keeper.stuck import apart, described, unplaced

STACK = """\
  File "/opt/belljar/runtime/lib/python3.11/site-packages/numpy/linalg.py", line 12 in solve
  File "/opt/belljar/runtime/lib/python3.11/site-packages/numpy/linalg.py", line 3 in outer
  File "<cell 2>", line 2 in f
  File "<cell 2>", line 3 in <module>
  File "/opt/belljar/inside.zip/belljar/guest/cell.py", line 260 in _evaluate
  File "/opt/belljar/inside.zip/__main__.py", line 2 in <module>
"""
CODE = "import numpy as np\ndef f(): return np.linalg.solve(a, b)\nf()\n"


def test_the_stack_is_taken_out_of_what_the_program_wrote() -> None:
    written = b"a warn\xffing" + f"Stack (most recent call first):\n{STACK}".encode() + b"and more\n"
    assert apart(written) == (STACK, b"a warn\xffingand more\n")
    written = b"860\n870\n" + f"Stack (most recent call first):\n{STACK}".encode() + b"880\n890\n"
    assert apart(written) == (STACK, b"860\n870\n880\n890\n")
    written = b"\n870" + f"Stack (most recent call first):\n{STACK}".encode() + b"\n"
    assert apart(written) == (STACK, b"\n870\n")
    written = b"Current thread 0x00007f0 (most recent call first):\n" + STACK.encode()
    assert apart(written) == (STACK, b"")
    assert apart(b"nothing of the kind\n") == ("", b"nothing of the kind\n")
    assert apart(b"") == ("", b"")


def test_it_is_told_as_an_exception_is() -> None:
    told = described(STACK, CODE)
    assert told is not None
    assert told["traceback"] == [
        "Traceback (most recent call last):",
        '  File "<cell 2>", line 3, in <module>',
        "    f()",
        '  File "<cell 2>", line 2, in f',
        "    def f(): return np.linalg.solve(a, b)",
        '  File "/opt/belljar/runtime/lib/python3.11/site-packages/numpy/linalg.py", line 3, in outer',
        '  File "/opt/belljar/runtime/lib/python3.11/site-packages/numpy/linalg.py", line 12, in solve',
        "KeyboardInterrupt: the code did not stop when it was told to",
    ]
    assert told["brief"][5] == "  [1 call inside libraries]"
    assert [(frame["file"], frame["is_own"], frame["left_out"]) for frame in told["frames"]] == [
        ("<cell 2>", True, 0),
        ("<cell 2>", True, 0),
        ("numpy/linalg.py", False, 1),
    ]


def test_what_the_guest_does_meanwhile_is_not_the_codes() -> None:
    importing = """\
  File "<frozen importlib._bootstrap>", line 1229 in _handle_fromlist
  File "/opt/belljar/inside.zip/belljar/guest/cell.py", line 185 in _tell_largest
"""
    following = """\
  File "/opt/belljar/runtime/lib/python3.11/contextlib.py", line 3 in __enter__
  File "/opt/belljar/inside.zip/belljar/guest/largest.py", line 99 in _tell_now
"""
    for aside in (importing, following):
        assert described(aside + STACK, CODE) == described(STACK, CODE)
    ours = '  File "/opt/belljar/inside.zip/belljar/guest/cell.py", line 1 in show\n'
    shown = described(STACK.splitlines(keepends=True)[0] + ours + STACK, CODE)
    assert shown is not None
    assert [frame["line"] for frame in shown["frames"]] == [3, 2, 12]


def test_words_that_are_no_stack_of_the_codes() -> None:
    assert described("", CODE) is None
    assert described('  File "/usr/lib/x.py", line 3 in f\n', CODE) is None
    assert described("  ...\nnonsense\n", CODE) is None
    told = described('  File "<cell 1>", line 99999 in f\n', CODE)
    assert told is not None
    assert told["frames"][0]["code"] == ""


@pytest.mark.parametrize(
    "written",
    [
        b"Thread 0x1 " * 40_000,
        b"Stack (most recent call first):" * 15_000,
        b'Stack (most recent call first):\n  File "' + b'", line 1' * 40_000 + b"\n" + b" in " * 40_000,
        b"Stack (most recent call first):\n" * 15_000,
    ],
)
def test_words_that_are_to_keep_us_busy(written: bytes) -> None:
    """What is quadratic would take minutes here."""
    stack, rest = apart(written)
    assert len(stack) + len(rest) <= len(written)
    assert described(stack, CODE) is None


def test_a_stack_without_an_end_is_bounded() -> None:
    told = described('  File "<cell 1>", line 1 in f\n' * 10_000, CODE)
    assert told is not None
    assert len(told["frames"]) == 100
    assert len(told["brief"]) <= 202


def test_where_it_was_is_not_always_known() -> None:
    assert unplaced("MemoryError") == {
        "ename": "MemoryError",
        "evalue": "the memory of the session was nearly used up here",
        "traceback": ["MemoryError: the memory of the session was nearly used up here"],
        "brief": ["MemoryError: the memory of the session was nearly used up here"],
        "frames": [],
    }
