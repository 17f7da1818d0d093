"""`belljar up`: a server in the background, for runs that do not wait for one to start."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from belljar import __version__, warm
from belljar.commands import Failure, background
from belljar.commands.given import (
    MODELS,
    PROFILE,
    REQUIRE,
    SEARCH,
    SERVER_STATE,
    UPSTREAM,
    Number,
    Whole,
    settings_of,
    warn_of_unknown_settings,
)
from belljar.commands.printing import AS_JSON, console, is_terminal, print_json, say

if TYPE_CHECKING:
    from belljar.settings import Settings


@click.command()
@click.option("--host", help="Listen on this address as well; else there is no port.")
@click.option("--port", type=Whole(0, 65535), help="Listen on this port as well, 0 for a free one.")
@click.option(
    "--idle-minutes",
    type=Number(0, min_open=True),
    metavar="N",
    help="End when it was not used for so long.",
)
@UPSTREAM
@MODELS
@SEARCH
@PROFILE
@SERVER_STATE
@REQUIRE
@AS_JSON
def up(
    host: str | None,
    port: int | None,
    idle_minutes: float | None,
    upstream: str | None,
    models: Path | None,
    search: str | None,
    profile: str | None,
    state_dir: Path | None,
    require: str | None,
    as_json: bool,
) -> None:
    """Keep a server warm in the background, until `belljar down`.

    `belljar run` then takes as long as Python takes to start; `chat`, `containers` and `files` ask it too. Only this
    user can reach it, unless --port or --host is given. One that is up already is left as it is.
    """
    given = {
        "host": host,
        "port": port,
        "upstream": upstream,
        "models": models.absolute() if models is not None else None,
        "search": search,
        "profile": profile,
        "state_dir": state_dir.absolute() if state_dir is not None else None,
        "require": require,
    }
    settings = settings_of(**given)  # what is wrong with them is said here, and not in a log
    warn_of_unknown_settings()
    arguments = [] if idle_minutes is None else ["--idle-minutes", str(idle_minutes)]
    if host is not None or port is not None:
        arguments.append("--port")
    own = {f"BELLJAR_{name.upper()}": str(value) for name, value in given.items() if value is not None}
    with ExitStack() as stack:
        place = stack.enter_context(background.turn(settings.state_dir))
        server = background.find(settings.state_dir)
        was_up = server is not None
        if server is not None:
            _check(server, settings, given | {"idle_minutes": idle_minutes})
        else:
            if is_terminal(sys.stderr):
                stack.enter_context(console(sys.stderr).status("starting a server"))
            stack.enter_context(background.starting(place, own, arguments))
            server = background.find(settings.state_dir)
    if server is None or server.facts is None:
        raise Failure(f"The server has ended again. Its log says why: {place / warm.LOG}")
    url = server.facts["url"]
    if as_json:
        print_json(
            {
                "pid": server.pid,
                "url": url or None,
                "socket": str(place / warm.API),
                "log": str(place / warm.LOG),
                "was_up": was_up,
            }
        )
        return
    where = f" and listens on {url}" if url else ""
    ending = warm.ending(server.facts)
    say(f"a server is up{' already' if was_up else ''} (pid {server.pid}){where}; {ending} ends it")


def _check(server: background.Server, settings: Settings, options: dict[str, Any]) -> None:
    """Raises Failure where the one that is up is not what is asked for."""
    facts = server.facts
    if facts is None:
        raise Failure(f"A server (pid {server.pid}) is starting or ending; try again when it has.")
    again = f"{warm.ending(facts)}, then `belljar up`"
    if facts["version"] != __version__:
        raise Failure(
            f"A server of version {facts['version']} is up (pid {server.pid}), and this is {__version__}: {again}."
        )
    names = _differing(facts, settings, options)
    if names:
        words = ", ".join(names)
        raise Failure(f"A server is up (pid {server.pid}) with other settings ({words}): {again}.")


def _differing(facts: dict[str, str], settings: Settings, options: dict[str, Any]) -> list[str]:
    """The names of what is asked for, by options or in the environment, and of what runs are told by, that the server
    of these facts has otherwise. Who asks for nothing may have any server."""
    import os
    from urllib.parse import urlsplit

    from belljar.gateway.owner import asked_of, minutes_text
    from belljar.keeper.layers import LEVELS

    given = settings.model_fields_set
    asked = asked_of(settings)
    names = [name for name in given if asked.get(f"asked.{name}") != facts.get(f"asked.{name}")]
    idle_minutes = options["idle_minutes"]
    if idle_minutes is not None and minutes_text(idle_minutes) != facts["idle_minutes"]:
        names.append("idle_minutes")
    if options["host"] is not None or options["port"] is not None:
        port = urlsplit(facts["url"]).port
        if port is None or ("port" in given and settings.port not in (0, port)):
            names.append("port")
        elif "host" in given and _address(settings.host) != facts.get("host"):
            names.append("host")
    own = warm.of_runs(os.environ)
    if options["require"] is not None:
        own.pop("BELLJAR_REQUIRE", None)
        required = facts.get("require", LEVELS[0])
        if LEVELS.index(settings.require) > LEVELS.index(required):  # one that requires more will do
            names.append("require")
    return sorted(names) + warm.differing(own, facts)


def _address(host: str) -> str:
    """At which a server listens that has this host."""
    import socket

    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return host
