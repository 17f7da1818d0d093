"""What is printed on terminals: of any width, with colours or without, with pictures or without."""

from __future__ import annotations

import pytest
from typed import Command, Terminal

CHART = "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1))\nplt.plot([1, 2])\nprint('drawn')"
FAULT = "rows = {'price': 3}\nrows['prise']"


@pytest.mark.parametrize("way", ["--no-server", "--server"])
def test_pictures_are_shown_in_a_terminal_that_can(warm: Command, way: str) -> None:
    seen = Terminal(warm, "run", way, "-c", CHART).read_to_end("\x1b[?62;4;22c")
    assert "drawn\r\n" in seen
    assert "\x1bP0;1q" in seen
    assert "saved" not in seen
    assert list(warm.cwd.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "answer", "more"),
    [
        ((), "\x1b[?62;22c", {}),  # it knows no sixels
        ((), "", {}),  # it says nothing
        ((), "\x1b[?62;4c", {"TERM": "dumb"}),
        ((), "\x1b[?62;4c", {"BELLJAR_PICTURES": "none"}),
        (("-o", "."), "\x1b[?62;4c", {}),
        (("--chart-format", "png"), "\x1b[?62;4c", {}),
    ],
    ids=["another", "silent", "dumb", "unwanted", "directory", "format"],
)
def test_else_they_are_saved(
    warm: Command, arguments: tuple[str, ...], answer: str, more: dict[str, str]
) -> None:
    seen = Terminal(warm, "run", *arguments, "-c", CHART, **more).read_to_end(answer)
    assert "\x1bP" not in seen
    assert "saved figure-1.png" in seen
    assert [path.name for path in warm.cwd.iterdir()] == ["figure-1.png"]


def test_what_kitty_shows(warm: Command) -> None:
    seen = Terminal(warm, "run", "-c", CHART, TERM="xterm-kitty").read_to_end()
    assert "\x1b_Ga=T,f=100" in seen
    assert list(warm.cwd.iterdir()) == []


def test_an_exception_comes_with_values_and_a_hint_both_ways(warm: Command) -> None:
    own = Terminal(warm, "run", "--no-server", "-c", FAULT).read_to_end()
    assert own.endswith("Hint: There is 'price'. The keys are: 'price'.\r\n")
    assert Terminal(warm, "run", "-c", FAULT).read_to_end() == own


def test_tables_on_terminals(warm: Command) -> None:
    wide = Terminal(warm, "status", columns=120).read_to_end()
    assert "\x1b[1m" in wide
    assert "runtime" in wide
    narrow = Terminal(warm, "status", columns=40)
    lines = narrow.read_to_end().replace("\x1b[0m", "").replace("\x1b[1m", "").split("\r\n")
    assert max(map(len, lines)) <= 40
    assert any(line.startswith("ahead") for line in lines)  # a line for each cell of the table
    by_variable = Terminal(warm, "status", columns=120, COLUMNS="30").read_to_end()
    assert max(map(len, by_variable.replace("\x1b[0m", "").replace("\x1b[1m", "").split("\r\n"))) <= 30
    assert "\x1b[" not in Terminal(warm, "status", TERM="dumb").read_to_end()
    coloured = Terminal(warm, "doctor").read_to_end()
    assert "\x1b[32mheld" in coloured
    assert "\x1b[3" not in Terminal(warm, "doctor", NO_COLOR="1").read_to_end()
    assert "\x1b" not in warm("status").stdout


def test_names_do_nothing_to_a_terminal(warm: Command) -> None:
    made = warm("files", "put", "-", "--as", "a\x1b[2Jb.txt", stdin="x")
    assert made.returncode == 125  # no such name is taken
    seen = Terminal(warm, "containers", "show", "\x1b[2J").read_to_end()
    assert "\x1b[2J" not in seen
