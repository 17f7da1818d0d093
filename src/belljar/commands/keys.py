"""`belljar keys`: the API keys of a server, in its store. A server that runs notices within a second."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import click

from belljar.commands.given import SERVER_STATE, Whole
from belljar.commands.printing import AS_JSON, is_terminal, moment, print_json, print_table, say
from belljar.errors import InvalidRequest
from belljar.settings import Settings
from belljar.wire.resources import rfc3339

if TYPE_CHECKING:
    from belljar.gateway.store import Key, Store

T = TypeVar("T")
_LIMITS = ("requests_per_minute", "executions", "containers", "stored_bytes", "budget")


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys of a server.

    From the first one on requests need a key, also when all are revoked. A server that runs notices within a second.
    """


@keys.command(short_help="Make a key, and print it.")
@click.argument("name")
@click.option("--tenant", default="default", show_default=True, help="Who owns what is made with the key.")
@click.option("--requests-per-minute", type=Whole(1), metavar="N", help="More get 429.")
@click.option("--executions", type=Whole(1), metavar="N", help="Under way at once with the key.")
@click.option("--containers", type=Whole(0), metavar="N", help="Of its tenant, at once.")
@click.option("--stored-bytes", type=Whole(0), metavar="N", help="Of all files of its tenant.")
@click.option(
    "--budget", metavar="AMOUNT", help="What may be spent with the key, in the price plan's currency."
)
@click.option(
    "--budget-period",
    type=click.Choice(["month", "total"]),
    default="month",
    show_default=True,
    help="For which the budget is.",
)
@SERVER_STATE
@AS_JSON
def create(
    name: str,
    tenant: str,
    budget: str | None,
    budget_period: str,
    state_dir: Path | None,
    as_json: bool,
    **limits: Any,
) -> None:
    """Make a key, and print it: this once, for it is kept as a hash only."""
    from belljar.gateway.access import KeyLimits, create_key  # its imports are not for `run` to pay

    wanted = KeyLimits(budget=_micro(budget), budget_period=budget_period, **limits)
    key, secret = in_store(state_dir, lambda store: create_key(store, name, tenant, wanted))
    if as_json:
        print_json(_document(key) | {"key": secret})
        return
    click.echo(secret)
    say(f"the key {name!r} of the tenant {tenant!r}; it is not shown again")


@keys.command("list", short_help="Print all keys, revoked ones too.")
@SERVER_STATE
@AS_JSON
def list_(state_dir: Path | None, as_json: bool) -> None:
    """Print all keys, revoked ones too: not what would let anybody use them."""

    async def look(store: Store) -> list[Key]:
        return await store.all_keys()

    found = [_document(key) for key in in_store(state_dir, look)]
    if as_json:
        print_json(found)
        return
    if is_terminal(sys.stdout):
        print_table(("id", "name", "tenant", "state", "limits"), [_row(key) for key in found])
        return
    for key in found:
        key_id, name, tenant, state, limits = _row(key)
        click.echo(f"{key_id}  {name}  tenant {tenant}  {state}  {limits}".rstrip())


def _row(key: dict[str, Any]) -> tuple[str, str, str, str, str]:
    limits = " ".join(f"{name}={key[name]}" for name in _LIMITS if key[name] is not None)
    state = (
        f"revoked {moment(key['revoked_at'])}" if key["revoked_at"] else f"made {moment(key['created_at'])}"
    )
    return key["id"], key["name"], key["tenant"], state, limits


@keys.command()
@click.argument("name", metavar="NAME|ID")
@SERVER_STATE
@AS_JSON
def revoke(name: str, state_dir: Path | None, as_json: bool) -> None:
    """Refuse a key from now on. What was made with it stays its tenant's."""
    from belljar.gateway.access import revoke_key

    in_store(state_dir, lambda store: revoke_key(store, name))
    if as_json:
        print_json({"name": name, "revoked": True})
    else:
        say(f"the key {name!r} is revoked")


def in_store(state_dir: Path | None, work: Callable[[Store], Awaitable[T]]) -> T:
    from belljar.gateway.store.sqlite import open_store

    place = state_dir or Settings().state_dir

    async def opened() -> T:
        async with open_store(place / "belljar.sqlite3") as store:
            return await work(store)

    return anyio.run(opened)


def _micro(amount: str | None) -> int | None:
    """An amount as it is kept. Raises InvalidRequest."""
    if amount is None:
        return None
    try:
        micro = Decimal(amount) * 1_000_000
        if micro.is_finite() and micro >= 0 and micro == int(micro) and micro < 2**63:
            return int(micro)
    except InvalidOperation:
        pass
    raise InvalidRequest(f"--budget: {amount!r} is no amount: write it as 25 or 12.50")


def _document(key: Key) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(key).items() if name != "digest"}
    for name in ("created_at", "revoked_at"):
        shown[name] = None if shown[name] is None else rfc3339(shown[name])
    if key.budget is None:
        del shown["budget_period"]
    else:
        from belljar.gateway.usage import money  # its imports are not for `run` to pay

        shown["budget"] = money(key.budget)
    return shown
