"""`belljar doctor`: what the jail has on this machine."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import anyio
import click

from belljar import link, orders, states
from belljar.client import shell_tools, trial
from belljar.client.attack import FOLDERS, Verdict
from belljar.client.attack import find as find_attacks
from belljar.commands.given import REQUIRE, settings_of, warn_of_unknown_settings
from belljar.commands.printing import AS_JSON, coloured, print_json
from belljar.records import Layer, Level
from belljar.wire.execution import json_of


@click.command()
@AS_JSON
@click.option(
    "--attack", is_flag=True, help="Run the hostile programs against the jail as it is set up here."
)
@REQUIRE
def doctor(as_json: bool, attack: bool, require: str | None) -> None:
    """Try the jail on this machine: say which layers hold, which are missing, why, and what would mend it.

    With --attack, ends with exit code 1 when a hostile program got out that this level has to stop.
    """
    settings = settings_of(preload={}, parked=0, require=require)
    warn_of_unknown_settings()
    verdicts: list[Verdict] = []

    def told(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if verdict.how or verdict.unclear:
            click.echo(f"  {verdict.attack.name}: {verdict.how or verdict.unclear}", err=True)

    async def look() -> tuple[states.Description, dict[str, float], str, list[str]]:
        async with link.start(settings) as keeper:
            laps = await keeper.open("doctor", settings.limits())
            result = await keeper.execute("doctor", orders.Run("print(6 * 7)", settings.timeout_seconds))
            tools = await keeper.execute("doctor", orders.Run(shell_tools.QUESTION, settings.timeout_seconds))
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
            "layers": [asdict(layer) for layer in seen.layers],
            "python": seen.python,
            "laps": laps,
            "idle_memory": asdict(seen.idle_memory),
            "shell_tools": {program: program in tools for program in shell_tools.PACKAGES},
            "not_stopped": {
                p.name: p.not_at[1] for p in find_attacks() if p.not_at and not p.is_stopped_at(level)
            },
        }
        if attack:
            report["attacks"] = {v.attack.name: v.how or v.unclear or "held" for v in verdicts}
        print_json(report)
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
        click.echo(f"  {coloured('held     ', 'green')} {layer.name:<18}{layer.detail}")
    for layer in layers:
        if layer.state != "held":
            state = coloured(f"{layer.state:<9}", "yellow" if layer.state == "weaker" else "red")
            click.echo(f"  {state} {layer.name:<18}{layer.detail}")
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
