"""`belljar containers`: those of a server, by name."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import quote

import click

from belljar import exits
from belljar.commands import Failure
from belljar.commands.asking import ask, asking, of_server, pages
from belljar.commands.completion import CONTAINER
from belljar.commands.printing import AS_JSON, print_facts, print_json, print_table, say, size

_PAGE = 100


@click.group()
def containers() -> None:
    """List, show and delete containers of a server: what keeps variables and files from one request to the next."""


@containers.command("list")
@of_server
@AS_JSON
def list_(url: str | None, api_key: str | None, as_json: bool) -> None:
    """Print the containers, the newest first."""
    with asking(url, api_key) as client:
        found = list(pages(client, "/v1/containers", {"limit": _PAGE}))
    if as_json:
        print_json(found)
        return
    rows = [
        (one["id"], one["state"], one["runtime"], _time(one["created_at"]), _time(one["last_used_at"]))
        for one in found
    ]
    print_table(("id", "state", "runtime", "made", "last used"), rows)


@containers.command()
@click.argument("container_id", type=CONTAINER)
@of_server
@AS_JSON
def show(container_id: str, url: str | None, api_key: str | None, as_json: bool) -> None:
    """Print what there is to know of a container."""
    with asking(url, api_key) as client:
        found = ask(client, "GET", _path(container_id))
    if as_json:
        print_json(found)
        return
    limits = found["limits"]
    print_facts(
        [
            ("id", found["id"]),
            ("state", found["state"]),
            ("runtime", found["runtime"]),
            ("made", _time(found["created_at"])),
            ("last used", _time(found["last_used_at"])),
            ("expires", _time(found["expires_at"])),
            ("level", found["isolation"]["level"]),
            ("memory", size(limits["memory_bytes"])),
            ("disk", size(limits["disk_bytes"])),
            ("processors", f"{limits['cpus']:g}"),
            ("processes", str(limits["pids"])),
        ]
    )


@containers.command()
@click.argument("container_ids", metavar="CONTAINER_ID...", nargs=-1, required=True, type=CONTAINER)
@of_server
@AS_JSON
def delete(container_ids: tuple[str, ...], url: str | None, api_key: str | None, as_json: bool) -> None:
    """Delete containers, with their files and all that runs in them."""
    deleted: list[Any] = []
    code = exits.DONE
    with asking(url, api_key) as client:
        for container_id in container_ids:
            try:
                deleted.append(ask(client, "DELETE", _path(container_id)))
            except Failure as error:  # the others are deleted all the same
                say(str(error))
                code = max(code, error.code)
                continue
            if not as_json:
                say(f"the container {container_id} is deleted")
    if as_json:
        print_json(deleted)
    sys.exit(code)


def _path(container_id: str) -> str:
    return f"/v1/containers/{quote(container_id, safe='')}"


def _time(text: str) -> str:
    """A time, to the second."""
    return text[:19].replace("T", " ") + "Z"
