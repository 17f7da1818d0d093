"""`belljar usage`: what the requests of a server have used, out of its store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from belljar.commands.given import SERVER_STATE
from belljar.commands.keys import in_store
from belljar.commands.printing import AS_JSON, print_json, print_table
from belljar.wire.execution import json_of

if TYPE_CHECKING:
    from belljar.gateway.store import Store
    from belljar.wire.resources import UsageLine, UsageTable

_HEADS = (
    "requests",
    "estimated",
    "input",
    "output",
    "code",
    "bash",
    "editor",
    "container s",
    "images",
    "searches",
    "amount",
)


@click.command()
@click.option("--since", metavar="DAY|TIME", help="From then on [default: 30 days ago].")
@click.option("--until", metavar="DAY|TIME", help="To before then [default: now].")
@click.option(
    "--by",
    type=click.Choice(["tenant", "model", "day", "key"]),
    default="day",
    show_default=True,
    help="What has a line.",
)
@SERVER_STATE
@AS_JSON
def usage(since: str | None, until: str | None, by: str, state_dir: Path | None, as_json: bool) -> None:
    """Print what the requests of a server have used. Those of the last second may be missing."""
    from belljar.gateway import totals  # its imports are not for `run` to pay

    given = {"--since": since, "--until": until, "group_by": by}
    asked = totals.asked_for(
        ((name, value) for name, value in given.items() if value is not None),
        start_name="--since",
        end_name="--until",
    )

    async def look(store: Store) -> UsageTable:
        return await totals.table(store, asked, None)

    found = in_store(state_dir, look)
    if as_json:
        print_json(json_of(found))
        return
    rows = [_cells(line) for line in found.data]
    print_table((by, *_HEADS), rows, right=_HEADS, between="\t")


def _cells(line: UsageLine) -> tuple[str, ...]:
    return (
        line.what or "-",
        str(line.requests),
        str(line.estimated_requests),
        str(line.input_tokens),
        str(line.output_tokens),
        str(line.code_executions),
        str(line.bash_executions),
        str(line.editor_executions),
        f"{line.container_seconds:.1f}",
        str(line.images),
        str(line.searches),
        f"{line.amount} {line.currency}" if line.currency else "-",
    )
