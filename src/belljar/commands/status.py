"""`belljar status`: how the server is that is up for this user."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from belljar import exits, warm
from belljar.commands import Failure, asking, background
from belljar.commands.given import SERVER_STATE, settings_of
from belljar.commands.printing import AS_JSON, print_facts, print_json, print_table, size


@click.command()
@SERVER_STATE
@AS_JSON
def status(state_dir: Path | None, as_json: bool) -> None:
    """Say how the server is that is up for this user: since when, with what, and what it holds.

    Ends with exit code 3 where none is up.
    """
    state_dir = settings_of(state_dir=state_dir).state_dir
    server = background.find(state_dir)
    if server is None:
        stale = warm.read_record(str(state_dir.absolute() / warm.FOLDER))
        word = f" any more: the last one (pid {stale['pid']}) has ended without a word" if stale else ""
        if as_json:
            print_json({"up": False, "state_dir": str(state_dir)})
            sys.exit(exits.NO_SERVER)
        raise Failure(f"no server is up{word}. `belljar up` starts one", exits.NO_SERVER)
    found = _look(server)
    if as_json:
        print_json(found)
        return
    _print(found)


def _look(server: background.Server) -> dict[str, Any]:
    used, processes = background.memory_bytes(server.pid)
    found: dict[str, Any] = {
        "up": True,
        "state": "starting or ending" if server.facts is None else "up",
        "pid": server.pid,
        "state_dir": str(server.place.parent),
        "log": str(server.place / warm.LOG),
        "memory_bytes": used,
        "processes": processes,
    }
    if server.facts is None:
        return found
    facts = server.facts
    started = int(facts["started_at"])
    found |= {
        "by": facts["by"],
        "log": None if facts["by"] == "serve" else found["log"],
        "version": facts["version"],
        "started_at": datetime.fromtimestamp(started, UTC).isoformat().replace("+00:00", "Z"),
        "uptime_seconds": max(0, int(time.time()) - started),
        "url": facts["url"] or None,
        "socket": str(server.place / warm.API),
        "idle_minutes": float(facts["idle_minutes"]) if facts["idle_minutes"] else None,
        "health": None,
        "runtimes": [],
    }
    try:
        with asking.asking_at(server) as client:
            found["health"] = asking.ask(client, "GET", "/health")
            found["runtimes"] = asking.ask(client, "GET", "/v1/runtimes")["data"]
    except Failure as error:
        found["state"] = f"does not answer: {error}"
    return found


def _print(found: dict[str, Any]) -> None:
    health = found.get("health") or {}
    facts = [("server", f"{found['state']}, pid {found['pid']}")]
    if "by" in found:
        facts.append(("version", found["version"]))
        facts.append(("uptime", _span(found["uptime_seconds"])))
        facts.append(("listens", found["url"] or "for this user only"))
        if found["idle_minutes"]:
            facts.append(("ends", f"when it was not used for {found['idle_minutes']:g} min"))
    if health:
        sessions = health["sessions"]
        facts.append(("level", ": ".join(filter(None, (health["isolation"]["level"], _missing(health))))))
        facts.append(("model", health["upstream"] if health["upstream"] != "direct" else "none"))
        words = f"{sessions['live']} of {sessions['max']}, {sessions['waiting']} waiting, {sessions['asleep']} asleep"
        facts.append(("sessions", words))
    facts.append(("memory", f"{size(found['memory_bytes'])} in {found['processes']} processes"))
    facts.append(("state", found["state_dir"]))
    facts.append(("log", found["log"] or "where `belljar serve` was called"))
    print_facts(facts)
    rows = []
    for runtime in found.get("runtimes", ()):
        tiers = ", ".join(
            tier["name"] if tier["state"] == "ready" else f"{tier['name']} ({tier['state']})"
            for tier in runtime["tiers"]
        )
        packages = str(len(runtime["packages"]))
        rows.append((runtime["name"], runtime["state"], runtime["python"], packages, tiers or "-"))
    if rows:
        print()
        print_table(("runtime", "state", "python", "packages", "ahead"), rows, right=("packages",))


def _missing(health: dict[str, Any]) -> str:
    missing = health["isolation"]["missing"]
    return f"without {', '.join(missing)}" if missing else ""


def _span(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])
