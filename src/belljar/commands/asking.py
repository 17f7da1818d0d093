"""The server that commands ask: one that is named, else the one that is up for this user."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click

from belljar import exits, warm
from belljar.client.refused import for_command, no_address, words_of
from belljar.commands import Failure, background
from belljar.commands.given import settings_of

if TYPE_CHECKING:
    import httpx2

F = TypeVar("F", bound=Callable[..., Any])

_SILENCE_SECONDS = 90
"""What runs in a container before a request goes first, and some of it takes long."""
_AT_ONCE_SECONDS = 5
_NO_PLACE = "no server is up. `belljar up` starts one; or say where one is: --url URL, or BELLJAR_URL"


def of_server(command: F) -> F:
    """The options by which a server is named."""
    url = click.option(
        "--url",
        "--server",
        "url",
        envvar="BELLJAR_URL",
        metavar="URL",
        help="The server [default: BELLJAR_URL, else the one of `belljar up`].",
    )
    key = click.option(
        "--api-key",
        envvar="BELLJAR_API_KEY",
        metavar="KEY",
        help="Better in the environment, as BELLJAR_API_KEY.",
    )
    return url(key(command))


@contextmanager
def asking(url: str | None, api_key: str | None) -> Iterator[httpx2.Client]:
    """A client of the server. Raises Failure where there is none, and for whatever it cannot be asked."""
    import httpx2

    headers = {"x-api-key": api_key} if api_key else {}
    with connecting(url) as (base_url, socket):
        transport = httpx2.HTTPTransport(uds=socket) if socket else None
        try:
            with httpx2.Client(
                base_url=base_url, headers=headers, timeout=_SILENCE_SECONDS, transport=transport
            ) as client:
                yield client
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Failure(not_asked(base_url if not socket else "", error), exits.NO_SERVER) from error


@contextmanager
def asking_at(server: background.Server) -> Iterator[httpx2.Client]:
    """A client of this server, for what it answers at once. Raises Failure."""
    import httpx2

    with socket_of(server) as socket:
        transport = httpx2.HTTPTransport(uds=socket)
        try:
            with httpx2.Client(
                base_url="http://belljar", timeout=_AT_ONCE_SECONDS, transport=transport
            ) as client:
                yield client
        except httpx2.HTTPError as error:
            raise Failure(str(error) or type(error).__name__, exits.NO_SERVER) from error


def not_asked(url: str, error: Exception) -> str:
    """What to say of a server that does not answer; `url` is empty for the one that is up for this user."""
    what = error if str(error) else type(error).__name__
    if not url:
        return f"the server that is up does not answer ({what}): `belljar status` says how it is"
    if wrong := no_address(url):
        return wrong
    return (
        f"No server can be asked at {url} ({what}): is it running (belljar serve), and is --url its address?"
    )


@contextmanager
def connecting(url: str | None) -> Iterator[tuple[str, str]]:
    """The base URL of a server, and its Unix socket where it has one for us (else empty). Raises Failure."""
    if url:
        yield url.rstrip("/"), ""
        return
    server = background.find(settings_of().state_dir)
    if server is None or server.facts is None:
        raise Failure(_NO_PLACE, exits.NO_SERVER)
    with socket_of(server) as socket:
        yield "http://belljar", socket


@contextmanager
def socket_of(server: background.Server) -> Iterator[str]:
    path, fd = warm.address(str(server.place), warm.API)
    try:
        yield path
    finally:
        if fd >= 0:
            os.close(fd)


def checked(answer: httpx2.Response) -> httpx2.Response:
    """An answer that has been read. Raises Failure with the server's own words where it refuses."""
    if answer.is_success:
        return answer
    message = words_of(answer) or (
        f"{answer.url} answers with status {answer.status_code}, and not as Belljar does"
    )
    raise Failure(
        for_command(message), exits.NOT_THERE if answer.status_code in (404, 410) else exits.ENGINE_ERROR
    )


def ask(client: httpx2.Client, method: str, path: str, **more: Any) -> Any:
    """The document that answers. Raises Failure."""
    answer = checked(client.request(method, path, **more))
    try:
        return answer.json()
    except ValueError as error:
        raise Failure(f"{answer.url} does not answer as Belljar does") from error


def container_path(container_id: str) -> str:
    return f"/v1/containers/{id_part(container_id, 'container')}"


def id_part(given: str, kind: str) -> str:
    """An id as a part of a path. Raises Failure for what would be tidied up into another path."""
    if given in ("", ".", "..") or "/" in given:
        raise Failure(f"There is no {kind} {given!r}: that is no id.", exits.NOT_THERE)
    return quote(given, safe="")


def pages(client: httpx2.Client, path: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All things of a list, page by page. Raises Failure."""
    after: dict[str, Any] = {}
    while True:
        page = ask(client, "GET", path, params=parameters | after)
        yield from page["data"]
        if not page.get("has_more") or not page["data"]:
            return
        after = {"after_id": page["last_id"]}
