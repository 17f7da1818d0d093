"""What notebooks know beside Python, as Python: line for line, and only where it is none of Python's own."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.guest.notebook import parsed, translated, tree_of

MAGIC = "get_ipython().run_line_magic({!r}, {!r})"


def made(code: str, names: frozenset[str] = frozenset()) -> str | None:
    found = translated(code, names)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("code", "python"),
    [
        ("%pwd", MAGIC.format("pwd", "")),
        ("  %time f(1) ", "  " + MAGIC.format("time", "f(1)")),
        ("x = %pwd", "x = " + MAGIC.format("pwd", "")),
        ("x, y = !ls", "x, y = get_ipython().getoutput('ls')"),
        ("d['a b'] = !ls", "d['a b'] = get_ipython().getoutput('ls')"),
        ("!echo it's", 'get_ipython().system("echo it\'s")'),
        ("!!ls", "get_ipython().getoutput('ls')"),
        ("!a \\\n  b\nx", "get_ipython().system('a  b')\n\nx"),
        ("len?", MAGIC.format("pinfo", "len")),
        ("a.b??", MAGIC.format("pinfo2", "a.b")),
        ("?a.b", MAGIC.format("pinfo", "a.b")),
        ("np.*load*?", MAGIC.format("pinfo", "np.*load*")),
        ("%time?", MAGIC.format("pinfo", "%time")),
        ("pip install x", MAGIC.format("pip", "install x")),
        ("cd ..", MAGIC.format("cd", "..")),
        ("%%bash -x\nls\n", "get_ipython().run_cell_magic('bash', '-x', 'ls\\n')"),
        ("\n# why\n%%time\n1", "\n# why\nget_ipython().run_cell_magic('time', '', '1')"),
        ("x = '''\n%a\n'''\n%b", "x = '''\n%a\n'''\n" + MAGIC.format("b", "")),
        ("f(1,\n!a)\n!b", "f(1,\n!a)\nget_ipython().system('b')"),
        ("x = 1 \\\n%a\n%b", "x = 1 \\\n%a\n" + MAGIC.format("b", "")),
        ("s = f'{d[\"#\"]}'  # it's\n%b", "s = f'{d[\"#\"]}'  # it's\n" + MAGIC.format("b", "")),
        ("s = f'''{x:{y}}\n%a'''\n%b", "s = f'''{x:{y}}\n%a'''\n" + MAGIC.format("b", "")),
        ("r'\\'\n%b", "r'\\'\n" + MAGIC.format("b", "")),
    ],
)
def test_what_is_translated(code: str, python: str) -> None:
    assert made(code) == python


@pytest.mark.parametrize(
    "code",
    [
        "",
        "x = 1",
        "f(:",
        "x = 5 % 3",
        "x != 3",
        "a if b? else c",
        "f() = !ls",
        "cd = 5",
        "time.sleep(1)",
        "ls + 1",
        "print('?')",
        "'''\n%x",
    ],
)
def test_what_is_not(code: str) -> None:
    assert made(code) is None
    assert tree_of(code, "<cell 1>", ()) is None


def test_a_variable_is_no_bare_magic() -> None:
    assert made("ls -l") is not None
    assert made("ls -l", frozenset({"ls"})) is None


def test_nothing_moves() -> None:
    code = "x = 1\n!a \\\n   b\nif x:\n    %time y\n    z = 'ä' + q\n"
    tree = tree_of(code, "<cell 1>", ())
    lines = {node.lineno: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert {2, 5} <= set(lines)
    # What stands there in the cell is the whole line.
    assert (lines[5].col_offset, lines[5].end_col_offset) == (0, len("    %time y"))
    (name,) = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "q"]
    assert (name.lineno, name.col_offset) == (6, len("    z = 'ä' + ".encode()))


def test_an_error_is_told_where_it_is() -> None:
    with pytest.raises(SyntaxError) as raised:
        tree_of("!ls\nx = = 2", "<cell 4>", ())
    assert (raised.value.filename, raised.value.lineno) == ("<cell 4>", 2)
    with pytest.raises(SyntaxError) as raised:
        parsed("1 +", "<cell 4>", (), 7, 3)
    assert raised.value.lineno == 7


def test_code_that_stands_in_a_line_is_told_where_it_stands() -> None:
    tree = parsed("f(1)", "<cell 1>", (), 3, 6)
    assert (tree.body[0].lineno, tree.body[0].col_offset, tree.body[0].end_col_offset) == (3, 6, 10)


_pieces = st.sampled_from(
    ["%", "!", "?", "'", '"', "'''", "f'", "{", "}", "(", ")", "#", "\\", "\n", "a", " ", "="]
)


@given(st.lists(_pieces, max_size=30).map("".join))
def test_any_text_keeps_its_lines(code: str) -> None:
    found = translated(code, ())
    if found is not None:
        text, lines = found
        assert lines
        if "run_cell_magic" not in text:
            assert text.count("\n") == code.count("\n")
            kept = dict(enumerate(code.split("\n"), 1))
            changed = dict(enumerate(text.split("\n"), 1))
            assert all(changed[at] == kept[at] or at in lines or changed[at] == "" for at in kept)
