"""`belljar containers`: those of a server, by name."""

from __future__ import annotations

import sys

import click

from belljar.commands.asking import ask, asking, container_path, of_server, pages
from belljar.commands.completion import CONTAINER
from belljar.commands.deleting import delete_all
from belljar.commands.printing import AS_JSON, moment, print_facts, print_json, print_table, size

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
        (one["id"], one["state"], one["runtime"], moment(one["created_at"]), moment(one["last_used_at"]))
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
        found = ask(client, "GET", container_path(container_id))
    if as_json:
        print_json(found)
        return
    limits = found["limits"]
    print_facts(
        [
            ("id", found["id"]),
            ("state", found["state"]),
            ("runtime", found["runtime"]),
            ("made", moment(found["created_at"])),
            ("last used", moment(found["last_used_at"])),
            ("expires", moment(found["expires_at"])),
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
    paths = [(container_path(one), f"the container {one} is deleted") for one in container_ids]
    sys.exit(delete_all(paths, url, api_key, as_json=as_json))
