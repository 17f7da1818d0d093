"""`belljar files`: those of a container, and those that a server keeps for its Files API."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from belljar import paths as written
from belljar import saving
from belljar.commands import Failure
from belljar.commands.asking import ask, asking, checked, container_path, id_part, of_server, pages
from belljar.commands.completion import CONTAINER
from belljar.commands.deleting import delete_all
from belljar.commands.given import FORCE
from belljar.commands.printing import AS_JSON, moment, print_json, print_table, progress_of_bytes, say, size
from belljar.commands.sending import Sent, opened
from belljar.commands.writing import OUTPUT, place_of, writing

if TYPE_CHECKING:
    import httpx2

_PIECE_BYTES = 256 * 1024
_PAGE = 1000
_OF = click.option(
    "-c",
    "--container",
    metavar="ID",
    type=CONTAINER,
    help="The files in this container's working directory; without it those that the server keeps.",
)


@click.group()
def files() -> None:
    """List, put, get and delete files: of a container, or without --container of the Files API.

    A file of a container is named by its path, one of the Files API by its id.
    """


@files.command("list")
@_OF
@of_server
@AS_JSON
def list_(container: str | None, url: str | None, api_key: str | None, as_json: bool) -> None:
    """Print the files."""
    with asking(url, api_key) as client:
        if container is None:
            found = list(pages(client, "/v1/files", {"limit": _PAGE}))
        else:
            listed = ask(client, "GET", _files(container))
            found = listed["data"]
            if not listed["is_whole"]:
                say("there are more files than one look takes in: some are not listed")
    if as_json:
        print_json(found)
    elif container is None:
        rows = [
            (one["id"], size(one["size_bytes"]), moment(one["created_at"]), one["filename"]) for one in found
        ]
        print_table(("id", "size", "made", "name"), rows, right=("size",))
    else:
        lying = [(size(one["size_bytes"]), moment(one["changed_at"]), one["path"]) for one in found]
        print_table(("size", "changed", "path"), lying, right=("size",))


@files.command(short_help="Put files into a container, or upload them.")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(dir_okay=False))
@_OF
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="What it is called there, or `data/`: the directory; needed for `-`, standard input.",
)
@FORCE
@of_server
@AS_JSON
def put(
    paths: tuple[str, ...],
    container: str | None,
    name: str | None,
    force: bool,
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Put files into a container's working directory, or upload them for requests to name.

    A file of a container is not written over, but with --force.
    """
    folder = name if name is not None and name.endswith("/") else ""
    if name is not None and not folder and len(paths) > 1:
        raise Failure(
            "--as is for one FILE: several cannot have one name, only a directory, as in --as data/"
        )
    if (name is None or folder) and "-" in paths:
        raise Failure("--as NAME is needed: standard input has no name")
    own = [os.path.basename(path) for path in paths]
    if container is not None:
        own = [written.shown(os.fsencode(one)) for one in own]
    names = [name if name and not folder else folder + one for one in own]
    if len(set(names)) < len(names):
        raise Failure("two of the files have one name; put them one by one, with --as")
    made: list[Any] = []
    with ExitStack() as stack:
        sources = [
            sys.stdin.buffer if path == "-" else stack.enter_context(opened(Path(path))) for path in paths
        ]
        client = stack.enter_context(asking(url, api_key))
        if container is not None and not force:
            _check_free(client, container, names)
        progress = stack.enter_context(progress_of_bytes())
        for source, there in zip(sources, names, strict=True):
            sent = Sent(source, there, progress)
            if container is None:
                made.append(ask(client, "POST", "/v1/files", files={"file": (there, sent)}))
            else:
                made.append(ask(client, "PUT", _file(container, there), content=sent.pieces()))
    if as_json:
        print_json(made)
        return
    for one in made:
        if container is None:
            click.echo(one["id"])
        say(f"put {one['filename'] if container is None else one['path']} ({size(one['size_bytes'])})")


@files.command()
@click.argument("name", metavar="PATH|FILE_ID")
@_OF
@OUTPUT
@FORCE
@of_server
@AS_JSON
def get(
    name: str,
    container: str | None,
    output: str | None,
    force: bool,
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Save a file of a container, or one that a run has made.

    A file that is there is not written over, but with --force.
    """
    with ExitStack() as stack:
        client = stack.enter_context(asking(url, api_key))
        if container is None:
            path = f"/v1/files/{id_part(name, 'file')}"
            own = ask(client, "GET", path)["filename"]
            path += "/content"
        else:
            path, own = _file(container, name), name.rpartition("/")[2]
        answer = stack.enter_context(client.stream("GET", path))
        if answer.is_error:
            answer.read()
            checked(answer)
        write = stack.enter_context(
            writing(place_of(output, saving.local(own)), force=force, as_json=as_json)
        )
        progress = stack.enter_context(progress_of_bytes())
        task = progress.add_task(own, total=int(answer.headers.get("content-length", 0)) or None)
        for piece in answer.iter_bytes(_PIECE_BYTES):
            write(piece)
            progress.advance(task, len(piece))


@files.command()
@click.argument("names", metavar="PATH|FILE_ID...", nargs=-1, required=True)
@_OF
@of_server
@AS_JSON
def delete(
    names: tuple[str, ...], container: str | None, url: str | None, api_key: str | None, as_json: bool
) -> None:
    """Delete files."""
    paths = [
        (
            f"/v1/files/{id_part(name, 'file')}" if container is None else _file(container, name),
            f"deleted {name}",
        )
        for name in names
    ]
    sys.exit(delete_all(paths, url, api_key, as_json=as_json))


def _files(container: str) -> str:
    return f"{container_path(container)}/files"


def _file(container: str, path: str) -> str:
    # Dots are spelled out, or a path with two of them would be tidied up into another URL.
    return f"{_files(container)}/{quote(os.fsencode(path)).replace('.', '%2E')}"


def _check_free(client: httpx2.Client, container: str, names: list[str]) -> None:
    """Raises Failure where one of these files is there already."""
    there = {one["path"] for one in ask(client, "GET", _files(container))["data"]}
    if taken := [name for name in names if name in there]:
        raise Failure(f"{', '.join(taken)}: the container has such a file already; --force writes over it")
