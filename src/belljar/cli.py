"""The `belljar` command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tokenize
from pathlib import Path
from typing import Any, NoReturn

import anyio
import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from belljar import __version__, link, results
from belljar.batch import lines_of
from belljar.chart import CHART_DPI, CHART_FORMAT, chart
from belljar.client import embedded, shell_tools, trial
from belljar.client.attack import FOLDERS, Verdict
from belljar.client.attack import find as find_attacks
from belljar.errors import BelljarError, InvalidRequest
from belljar.keys import keys
from belljar.models import models
from belljar.runtimes import runtime as runtimes
from belljar.settings import Settings
from belljar.setup import setup
from belljar.stdio import mcp
from belljar.usage import usage
from belljar.wire.charts import ChartFormat, ChartsRequest
from belljar.wire.execution import MIB, BatchLine, Layer, Level, LimitsRequest, json_of

ENGINE_ERROR = 125
"""Exit code when the program did not run or its end is not known, as `docker run` has it."""


_SAID = 100
"""Names of files that are said."""


class _Command(click.Group):
    """Reports what went wrong outside of the user's program in one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            _fail(error.format_message())  # with our exit code: click's own 2 could be the program's
        except BelljarError as error:
            _fail(str(error))
        except BrokenPipeError:
            os._exit(128 + signal.SIGPIPE)  # nobody reads on, and a flush at exit would only say so again
        except OSError as error:
            _fail(f"{error.filename or 'output'}: {error.strerror or error}")
        except (ValidationError, SettingsError) as error:
            _fail(_settings_message(error))


def _fail(message: str) -> NoReturn:
    click.echo(f"belljar: {message}", err=True)
    sys.exit(ENGINE_ERROR)


def _settings_message(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        return str(error)
    return "; ".join(
        f"BELLJAR_{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
        for problem in error.errors()
    )


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """A self-hosted code execution tool for language models."""


@main.command()
@click.argument("source", metavar="[FILE | -]", required=False)
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
    default=Path(),
    help="Save what the program makes in this directory, never over a file that is there [default: here].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as one JSON document.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    metavar="S",
    help="Seconds until the program is stopped.",
)
@click.option(
    "--memory",
    type=click.IntRange(64, 1024 * 1024),
    metavar="MIB",
    help="Memory for the program and all that it starts.",
)
@click.option(
    "--runtime", metavar="NAME", help="What it runs in: one that `belljar runtime create` has made."
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
def run(
    source: str | None,
    code: str | None,
    inputs: tuple[Path, ...],
    output_dir: Path,
    as_json: bool,
    timeout: float | None,
    memory: int | None,
    runtime: str | None,
    pass_stdin: bool,
    chart_formats: tuple[ChartFormat, ...],
    chart_dpi: float | None,
) -> None:
    """Run a Python program in the jail: print what it prints, save what it makes, end with its exit code.

    An exit code of 125 says that Belljar itself failed, and why on standard error.
    """
    program = _program(source, code)
    if pass_stdin and source == "-":
        raise InvalidRequest("`-` reads the program from standard input, so --stdin has nothing left to read")
    settings = _settings(timeout_seconds=timeout, memory_bytes=memory * MIB if memory is not None else None)
    stdin = sys.stdin.read() if pass_stdin else ""
    charts = None
    if chart_formats or chart_dpi is not None:
        formats = list(dict.fromkeys(chart_formats)) or ["png"]
        charts = ChartsRequest(formats=formats, dpi=chart_dpi)
    asked = link.Run(program, settings.timeout_seconds, stdin=stdin, is_last=True, charts=charts)

    async def embedded_run() -> int:
        answer, saved = await embedded.run(
            settings,
            asked,
            inputs=inputs,
            output_dir=output_dir,
            runtime=runtime or settings.default_runtime,
            limits=LimitsRequest(),
            on_event=None if as_json else _print_event,
            until=_signalled,
        )
        if as_json:
            click.echo(json.dumps(json_of(answer), ensure_ascii=False, indent=2))
        elif answer.outcome.status not in ("completed", "raised", "exited"):
            click.echo(f"belljar: {answer.outcome.message}", err=True)
        for path in saved[:_SAID]:
            click.echo(f"belljar: saved {path}", err=True)
        if len(saved) > _SAID:
            click.echo(f"belljar: saved {len(saved) - _SAID:,} more below {output_dir}", err=True)
        return answer.return_code

    sys.exit(anyio.run(embedded_run))


async def _signalled() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


def _program(source: str | None, code: str | None) -> str:
    if (source is None) == (code is None):
        raise InvalidRequest("give one program: a FILE, `-` for standard input, or -c CODE")
    if code is not None:
        return code
    if source == "-":
        return sys.stdin.read()
    assert source is not None
    try:
        with tokenize.open(source) as file:  # honours an encoding that the file declares
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"{source} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error


def _print_event(event: results.Event) -> None:
    try:
        if isinstance(event, results.Stream):
            click.echo(event.text, nl=False, err=event.name == "stderr")
        elif isinstance(event, results.Raised):
            click.echo("\n".join(event.traceback), err=True)
            if event.notes and sys.stderr.isatty():
                click.echo("\n".join(event.notes), err=True)
        elif isinstance(event, results.Display) and event.type != "execute_result":
            click.echo(results.text_of(event), nl=bool(results.text_of(event)))
    except BrokenPipeError:
        os._exit(128 + signal.SIGPIPE)  # as of any program whose reader has gone; the keeper ends with us
    except OSError as error:
        print(f"belljar: the output cannot be written: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(ENGINE_ERROR)


@main.command()
@click.argument("source", metavar="FILE")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the answers into this new file [default: standard output].",
)
@click.option(
    "-j",
    "--at-once",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Programs under way at the same time [default: two for each processor].",
)
def batch(source: str, output: Path | None, at_once: int | None) -> None:
    """Run many programs: JSON lines in (FILE, or `-` for standard input), JSON lines out as they finish.

    Each line is a request of POST /v1/executions, with a `custom_id` if you like. Ends with exit code 1 when a line
    could not be run; what a program does by itself is in its answer.
    """
    from belljar.client import batch as batches

    lines = lines_of(sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())
    failed = 0
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(output.open("x", encoding="utf-8")) if output else sys.stdout
        progress = stack.enter_context(_progress())
        task = progress.add_task("programs", total=len(lines))

        def told(line: BatchLine) -> None:
            nonlocal failed
            failed += line.error is not None
            target.write(json.dumps(json_of(line), ensure_ascii=False, separators=(",", ":")) + "\n")
            target.flush()
            progress.advance(task)

        anyio.run(batches.run, _settings(), lines, at_once or 2 * (os.cpu_count() or 1), told)
    sys.exit(1 if failed else 0)


def _progress() -> Any:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console  # not for `run` to pay
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


main.add_command(chart)
main.add_command(keys)
main.add_command(mcp)
main.add_command(models)
main.add_command(runtimes)
main.add_command(setup)
main.add_command(usage)


@main.command()
@click.option("--host", help="Address to listen on [default: 127.0.0.1].")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one [default: 8421].")
@click.option(
    "--upstream", help="The model: `anthropic:URL`, `openai:URL`, `direct` (none) or `scripted:FILE`."
)
@click.option(
    "--models",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A table of models, in place of one upstream.",
)
@click.option("--search", help="Who searches the web: `searxng:URL`, `brave`, `tavily` or `upstream`.")
@click.option("--profile", type=click.Choice(["auto", "anthropic", "inline"]), help="The shape of results.")
@click.option(
    "--state-dir", type=click.Path(file_okay=False, path_type=Path), help="Where all that is kept lies."
)
@click.option(
    "--require",
    type=click.Choice(["full", "limited", "reduced"]),
    help="Do not start below this isolation level.",
)
def serve(**options: Any) -> None:
    """Serve the Messages API with code execution until SIGTERM or SIGINT.

    Every option is also a setting in the environment, BELLJAR_HOST and so on.
    """
    from belljar.gateway import log
    from belljar.gateway.serve import serve as serve_gateway  # its imports are not for `run` to pay
    from belljar.gateway.upstream import nearby

    settings = _settings(**options)
    log.to_stderr(settings.log_level, with_content=settings.log_content)
    has_model = settings.models is not None or settings.upstream != "direct"
    offers: list[nearby.Place] = []

    async def look_and_serve() -> None:
        if not has_model:
            offers.extend(await nearby.find())
        await serve_gateway(settings, on_ready=ready)

    def ready(url: str, asks_for_keys: bool) -> None:
        click.echo(f"Belljar listens on {url}")
        if not asks_for_keys:
            click.echo("There are no API keys: whoever reaches it may run code (belljar keys create).")
        if not has_model:
            click.echo("No model is connected: fenced Python in a message is run as it stands (--upstream).")
        if not settings.search:
            click.echo("Web searches are `unavailable`: there is no search engine (--search).")
        for place in offers:
            click.echo(f"{place.name} runs on this machine; to use it: --upstream openai:{place.url}")

    anyio.run(look_and_serve)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option(
    "--attack", is_flag=True, help="Run the hostile programs against the jail as it is set up here."
)
@click.option(
    "--require", type=click.Choice(["full", "limited", "reduced"]), help="Fail below this isolation level."
)
def doctor(as_json: bool, attack: bool, require: str | None) -> None:
    """Try the jail on this machine: say which layers hold, which are missing, why, and what would mend it.

    With --attack, ends with exit code 1 when a hostile program got out that this level has to stop.
    """
    settings = _settings(preload={}, parked=0, require=require)
    verdicts: list[Verdict] = []

    def told(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if verdict.how or verdict.unclear:
            click.echo(f"  {verdict.attack.name}: {verdict.how or verdict.unclear}", err=True)

    async def look() -> tuple[link.Description, dict[str, float], str, list[str]]:
        async with link.start(settings) as keeper:
            laps = await keeper.open("doctor", settings.limits())
            result = await keeper.execute("doctor", link.Run("print(6 * 7)", settings.timeout_seconds))
            tools = await keeper.execute("doctor", link.Run(shell_tools.QUESTION, settings.timeout_seconds))
            await keeper.close("doctor")
            if attack:
                programs = find_attacks()
                click.echo(f"trying {len(programs)} hostile programs", err=True)
                await trial.try_all(keeper, programs, told)
            return keeper.description, laps, result.stdout.strip(), tools.stdout.split()

    seen, laps, answer, tools = anyio.run(look)
    level = seen.isolation.level
    holes = [v for v in verdicts if v.how and v.attack.is_stopped_at(level)]
    if as_json:
        report: dict[str, Any] = {
            "isolation": json_of(seen.isolation),
            "layers": [json_of(layer) for layer in seen.layers],
            "python": seen.python,
            "laps": laps,
            "idle_memory": json_of(seen.idle_memory),
            "shell_tools": {program: program in tools for program in shell_tools.PACKAGES},
            "not_stopped": {
                p.name: p.not_at[1] for p in find_attacks() if p.not_at and not p.is_stopped_at(level)
            },
        }
        if attack:
            report["attacks"] = {v.attack.name: v.how or v.unclear or "held" for v in verdicts}
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo(f"isolation   {level}")
        _print_layers(seen.layers)
        click.echo(f"runtime     Python {seen.python}, {len(seen.packages)} packages ({settings.runtime})")
        click.echo(f"shell tools {shell_tools.described(tools)}")
        click.echo(f"state       {settings.state_dir}")
        click.echo(f"idle memory {': '.join(filter(None, (seen.idle_memory.way, seen.idle_memory.detail)))}")
        click.echo(f"a session   {laps['session']:.0f} ms until a locked guest; 6 * 7 = {answer}")
        if attack:
            _print_verdicts(verdicts)
        _print_not_stopped(level)
    if holes or any(v.unclear for v in verdicts):
        sys.exit(1)


def _print_layers(layers: list[Layer]) -> None:
    held = [layer for layer in layers if layer.state == "held"]
    fixes: dict[str, list[str]] = {}
    for layer in held:
        click.echo(f"  held      {layer.name:<18}{layer.detail}")
    for layer in layers:
        if layer.state != "held":
            click.echo(f"  {layer.state:<9} {layer.name:<18}{layer.detail}")
            fixes.setdefault(layer.fix, []).append(layer.name)
    for fix, names in fixes.items():
        click.echo(f"  to mend   {', '.join(names)}: {fix}")


def _print_verdicts(verdicts: list[Verdict]) -> None:
    click.echo(f"attacks     {len(verdicts)} hostile programs")
    for folder in FOLDERS:
        mine = [v for v in verdicts if v.attack.folder == folder]
        out = sum(bool(v.how) for v in mine)
        click.echo(f"  {folder:<10}{len(mine) - out} of {len(mine)} held")


def _print_not_stopped(level: Level) -> None:
    """What the level leaves open, from the programs that say so of themselves."""
    for program in find_attacks():
        if not program.is_stopped_at(level):
            assert program.not_at is not None
            click.echo(f"  not stopped at {level}: {program.name} ({program.not_at[1]})")


def _settings(**options: Any) -> Settings:
    """The environment's settings, overridden by the options that were given."""
    return Settings(**{name: value for name, value in options.items() if value is not None})
