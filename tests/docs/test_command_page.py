"""docs/command.md says what the commands say of themselves."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from belljar import exits
from belljar.commands import Commands, main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "command.md").read_text("utf-8")


@pytest.fixture(scope="module")
def making() -> ModuleType:
    place = str(ROOT / "scripts" / "make-command-page")
    loader = importlib.machinery.SourceFileLoader("make_command_page", place)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_options_are_those_of_the_commands(making: ModuleType) -> None:
    assert making.written(PAGE) == PAGE, "scripts/make-command-page writes them"


def test_every_command_has_its_place(making: ModuleType) -> None:
    for name in making.leaves():
        assert f"### `belljar {name}" in PAGE
        assert PAGE.count(f"<!-- options of {name} -->") == 1


def test_every_option_says_what_it_does(making: ModuleType) -> None:
    for name, command in making.leaves().items():
        assert command.help, name
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, (name, option.opts)


def test_whatever_prints_something_prints_it_as_json(making: ModuleType) -> None:
    for name, command in making.leaves().items():
        assert name in {"completion", "mcp"} or any("--json" in option.opts for option in command.params), (
            name
        )


def test_the_group_knows_its_commands() -> None:
    """Their words are said by the group too, which imports none of them for that."""
    assert isinstance(main, Commands)
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
    assert main.get_command(context, "fly") is None


@pytest.mark.parametrize("code", [value for name, value in vars(exits).items() if name.isupper()])
def test_every_exit_code_is_described(code: int) -> None:
    table = PAGE[PAGE.index("## Exit codes") : PAGE.index("## Commands")]
    assert re.search(rf"^\| {code} \|", table, re.MULTILINE)
