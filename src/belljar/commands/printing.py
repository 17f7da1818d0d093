"""What commands print: rich on a terminal, plain text in a pipe, JSON where it is asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import click

from belljar.client.showing import harmless

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


def say(message: str) -> None:
    """A word of ours, beside what is printed."""
    click.echo(f"belljar: {harmless(message) if sys.stderr.isatty() else message}", err=True)


def print_json(document: Any, *, is_line: bool = False) -> None:
    """A document in UTF-8, whatever the locale; half a character, as names of files may have one, by its escape."""
    if is_line:
        from belljar.gateway.frame import json_bytes

        click.echo(json_bytes(document))
    else:
        click.echo(json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace"))


def is_terminal(stream: IO[Any]) -> bool:
    """Whether `stream` is a terminal that can do more than print."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console(stream: IO[str]) -> Console:
    """What prints richly on `stream`, where that is a terminal."""
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=False)


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), between: str = ""
) -> None:
    """A table on a terminal, or, where that is too narrow for it, a few lines for each row; else columns, with
    `between` between them where they are for a program."""
    if is_terminal(sys.stdout):
        cells = [[_cell(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
        if sum(widths) + 3 * (len(heads) - 1) > console(sys.stdout).width:
            for one in cells:
                print_facts(list(zip(heads, one, strict=True)))
                click.echo()
            return
        _print_table(heads, cells, right)
        return
    if between:
        for row in (heads, *rows):
            click.echo(between.join(row))
        return
    lines = [[head.upper() for head in heads], *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left", header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))
    console(sys.stdout).print(table)


def coloured(text: str, colour: str) -> str:
    """`text` in a colour, where standard output is a terminal that has some and shall."""
    return (
        click.style(text, fg=colour) if is_terminal(sys.stdout) and not os.environ.get("NO_COLOR") else text
    )


def _cell(text: str) -> str:
    """As one line: some of these are names that hostile code has chosen."""
    return harmless(text).replace("\n", "\N{REPLACEMENT CHARACTER}").replace("\t", " ")


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Names, and what is to be said of each."""
    width = max(len(name) for name, _ in facts) + 2
    if not is_terminal(sys.stdout):
        for name, words in facts:
            click.echo(f"{name:<{width}}{_cell(words)}")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in facts:
        table.add_row(name, Text(_cell(words)))
    console(sys.stdout).print(table)


def progress_of_bytes() -> Progress:
    """Bars on standard error for what is sent or fetched, where that is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    where = console(sys.stderr)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    return Progress(*columns, console=where, disable=not is_terminal(sys.stderr), transient=True)


def progress_of_things() -> Progress:
    """The same for what is counted."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    where = console(sys.stderr)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=where, disable=not is_terminal(sys.stderr))


def moment(time: str) -> str:
    """A time of the wire, to the second, still in UTC, and as `belljar usage` takes it."""
    return f"{time[:19]}Z"


def size(count: int) -> str:
    """Bytes, for people."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
