"""`belljar run`: one program, in the server that is warm or in a keeper of the command's own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import get_args

import anyio
import click

from belljar import quick, warm
from belljar.commands.completion import RUNTIME
from belljar.commands.given import MEMORY, TIMEOUT, Number, Whole, settings_of
from belljar.errors import InvalidRequest
from belljar.process import KeeperProcess
from belljar.records import MIB
from belljar.settings import Settings
from belljar.wire.charts import LEAST_DPI, MOST_DPI, ChartFormat
from belljar.wire.execution import MOST_OUTPUT_MIB

CHART_FORMAT = click.Choice(get_args(ChartFormat))
CHART_DPI = Number(LEAST_DPI, MOST_DPI)


@click.command()
@click.pass_obj
@click.argument("program", metavar="[FILE | -] [ARGUMENT]...", nargs=-1, type=click.Path(path_type=str))
@click.option("-c", "code", metavar="CODE", help="Run this code instead of a file's.")
@click.option(
    "-f",
    "--file",
    "inputs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Put this file into the working directory first. May be repeated.",
)
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Save what the program makes in this directory, never over a file that is there [default: here].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as one JSON document.")
@click.option(
    "--timeout",
    type=TIMEOUT,
    metavar="S",
    help="Seconds until the program is stopped [default: 30, BELLJAR_TIMEOUT_SECONDS].",
)
@click.option(
    "--memory",
    type=MEMORY,
    metavar="MIB",
    help="Memory for the program and all that it starts [default: 1024, BELLJAR_MEMORY_BYTES].",
)
@click.option(
    "--max-output",
    type=Whole(1, MOST_OUTPUT_MIB),
    metavar="MIB",
    help="How much of stdout and of stderr is kept; more is left out of the middle [default: 1, BELLJAR_OUTPUT_BYTES].",
)
@click.option(
    "--runtime",
    metavar="NAME",
    type=RUNTIME,
    help="What it runs in: one that `belljar runtime create` has made.",
)
@click.option(
    "--stdin", "pass_stdin", is_flag=True, help="Give the program what this command reads on its stdin."
)
@click.option(
    "--chart-format",
    "chart_formats",
    multiple=True,
    type=CHART_FORMAT,
    help="Save charts in this format (default: png). May be repeated.",
)
@click.option("--chart-dpi", type=CHART_DPI, metavar="N", help="Dots per inch of charts.")
@click.option(
    "--server/--no-server",
    "uses_server",
    default=None,
    help="Use the server of `belljar up`, or do without it [default: use it if it is up, BELLJAR_WARM].",
)
def run(
    process: KeeperProcess | None,
    program: tuple[str, ...],
    code: str | None,
    inputs: tuple[Path, ...],
    output_dir: Path | None,
    as_json: bool,
    timeout: float | None,
    memory: int | None,
    max_output: int | None,
    runtime: str | None,
    pass_stdin: bool,
    chart_formats: tuple[ChartFormat, ...],
    chart_dpi: float | None,
    uses_server: bool | None,
) -> None:
    """Run a Python program in the jail: print what it prints, save what it makes, end with its exit code.

    Each ARGUMENT is the program's own, in its `sys.argv`; those that begin with a dash come after `--`. An exit code of
    125 says that Belljar itself failed, and why on standard error.
    """
    asked = quick.Asked()
    asked.has_stdin = pass_stdin
    if not quick.take_words(asked, code, list(program)):
        raise InvalidRequest("give one program: a FILE, `-` for standard input, or -c CODE")
    if asked.source is not None and asked.source != "-":
        asked.code = _program(asked.source)
    asked.inputs = [str(path) for path in inputs]
    asked.output_dir = str(output_dir) if output_dir is not None else None
    asked.as_json, asked.runtime = as_json, runtime
    asked.seconds = None if timeout is None else repr(timeout)
    asked.memory_mib = None if memory is None else str(memory)
    asked.output_mib = None if max_output is None else str(max_output)
    asked.formats = list(dict.fromkeys(chart_formats))
    asked.dpi = None if chart_dpi is None else repr(chart_dpi)
    asked.mode = {None: "", True: "always", False: "never"}[uses_server]
    if pass_stdin and asked.source == "-":
        raise InvalidRequest("`-` reads the program from standard input, so --stdin has nothing left to read")
    settings = settings_of(
        timeout_seconds=asked.seconds,
        memory_bytes=memory * MIB if memory is not None else None,
        output_bytes=max_output * MIB if max_output is not None else None,
    )
    try:
        quick.check_inputs(asked.inputs)
        quick.make_directory(asked.output_dir)
        place, words = quick.server(asked.mode, os.environ)
    except quick.Refused as error:
        raise InvalidRequest(str(error)) from error
    if place is not None and not words:
        try:
            connection = warm.reach(place, warm.RUNS)
        except OSError as error:
            words = quick.not_reached(place, error)
            if asked.mode == "always":
                raise InvalidRequest(words) from error
            words += quick.OWN_KEEPER
        else:
            quick.read_standard_input(asked)
            os._exit(quick.converse(connection, asked))
    if words:
        click.echo(f"belljar: {words}", err=True)
    quick.read_standard_input(asked)
    sys.exit(_alone(asked, settings, process))


def _alone(asked: quick.Asked, settings: Settings, process: KeeperProcess | None) -> int:
    """Run it in a keeper of one's own, which may have begun already. Returns the exit code."""
    from belljar import orders, printed  # their imports are not for a warm server to wait for
    from belljar.client import embedded

    charts = printed.charts_of(asked.formats, asked.dpi)
    program = orders.Run(
        asked.code,
        settings.timeout_seconds,
        stdin=asked.stdin.decode("utf-8", "surrogateescape"),
        argv=printed.argv(asked.source, asked.arguments),
        is_last=True,
        charts=charts,
    )
    printer = quick.Printer(asked)
    anyio.run(
        lambda: embedded.run(
            settings,
            program,
            printer.take,
            printed.Form(asked.as_json, os.isatty(2), asked.source, settings.output_bytes),
            inputs=[Path(path) for path in asked.inputs],
            runtime=asked.runtime or settings.default_runtime,
            process=process,
            until=_signalled,
        )
    )
    return printer.code


async def _signalled() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


def _program(path: str) -> str:
    """The program in a file."""
    try:
        return quick.decoded(Path(path).read_bytes(), path)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror or error}") from error
    except quick.Refused as error:
        raise InvalidRequest(str(error)) from error
