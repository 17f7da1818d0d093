"""The page on installing names what there is: commands, files, options and numbers. Its steps are run by
`make test-install` and `make test-image`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from belljar import __version__
from belljar.commands import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_commands_and_options_exist() -> None:
    asked = []
    for words in COMMANDS:
        at = [
            number for number, word in enumerate(words) if word == "belljar" or word.endswith("bin/belljar")
        ]
        if at and len(words) > at[-1] + 1:
            asked.append(words[at[-1] + 1 :])
    assert len(asked) > 5
    for first, *rest in asked:
        command = main.get_command(click.Context(main), first)
        if isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= known, (first, rest)


def test_numbers_are_those_of_the_project() -> None:
    assert set(re.findall(r"belljar-([\d.]+)-py3", PAGE)) == {__version__}
    [packages] = re.findall(r"(\d+) packages", PAGE)
    lock = (ROOT / "locks" / "runtime-data.txt").read_text().splitlines()
    assert int(packages) == sum("==" in line for line in lock)


def test_options_of_the_tables_are_in_the_files() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    nginx = (ROOT / "packaging" / "nginx.conf").read_text()
    docker, proxy = (
        "".join(
            line.split("|")[1] for line in PAGE[PAGE.index(title) :].splitlines() if line.startswith("| `")
        )
        for title in ("## Docker", "## Behind nginx")
    )
    for option in re.findall(r"`([^`]+)`", docker.split("`proxy_buffering")[0]):
        assert option in compose, option
    for directive in re.findall(r"`([^`]+)`", proxy):
        assert directive in nginx, directive


def test_the_image_has_what_compose_says() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    dockerfile = (ROOT / "Dockerfile").read_text()
    [volume] = re.findall(r"^VOLUME (\S+)", dockerfile, re.MULTILINE)
    assert f"state:{volume}" in compose
    assert re.findall(r"^EXPOSE (\d+)", dockerfile, re.MULTILINE) == re.findall(
        r'"127\.0\.0\.1:\d+:(\d+)"', compose
    )
    assert re.search(r"^USER (?!0|root)", dockerfile, re.MULTILINE)
    for word in ("KEY=", "TOKEN=", "PASSWORD="):
        assert word not in dockerfile.upper()
    ignored = (ROOT / ".dockerignore").read_text().split()
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE):
        for source in copied.split():
            assert f"!{source}" in ignored, source
