"""Who asks: the API key that a request shows, the tenant that it belongs to, and how much that may have.

While no key has ever been made, everybody is the default tenant; from then on a request needs one. Keys are made and
revoked by a command beside a running server, so the store is looked at again when the last look is a while ago.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import string
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import anyio
from starlette.types import Scope

from belljar.errors import InvalidRequest, RateLimited, Unauthenticated
from belljar.gateway.files import now_microseconds
from belljar.gateway.store import DEFAULT_TENANT, Key, Store
from belljar.wire.ids import new_id
from belljar.wire.resources import rfc3339

_OPEN_PATHS = frozenset({"/", "/health", "/openapi.json"})
PAGE_FILES = "/page/"
"""Below it lie the files of the page at `/`."""
OWNER = "belljar.owner"
"""In the scope of a request that has come by the socket that only the owner of the state directory can reach."""
_LOOK_SECONDS = 0.5
_KEY_LETTERS = string.ascii_letters + string.digits
_KEY_LENGTH = 43
"""256 bits."""
_NAME_LETTERS = frozenset(_KEY_LETTERS + "._-@")
_NAME_LENGTH = 64


def is_open(path: str) -> bool:
    """Whether it needs no key: a load balancer has none, the description tells nothing of what is here, and the page
    asks for one itself."""
    return path in _OPEN_PATHS or path.startswith(PAGE_FILES)


class Allowance:
    """So many requests a minute: what was not used adds up to a minute's worth, and no more."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._at = now

    @property
    def left(self) -> int:
        return int(self._left)

    @property
    def seconds_until_full(self) -> float:
        return (self.per_minute - self._left) * 60 / self.per_minute

    def take(self, now: float) -> float:
        """Take one. Returns 0, or, where there is none, the seconds until there is; `now` is a clock's."""
        self._left = min(self.per_minute, self._left + (now - self._at) * self.per_minute / 60)
        self._at = now
        if self._left < 1:
            return (1 - self._left) * 60 / self.per_minute
        self._left -= 1
        return 0.0


@dataclass
class Client:
    """Whoever shows one key, with the limits of the key; None is none."""

    tenant: str = DEFAULT_TENANT
    most_stored_bytes: int = 2**63 - 1
    most_containers: int | None = None
    most_executions: int | None = None
    allowance: Allowance | None = None
    has_key: bool = False
    key_id: str = ""
    budget: int | None = None
    budget_period: str = "month"
    _running: anyio.CapacityLimiter | None = field(init=False)

    def __post_init__(self) -> None:
        self._running = None if self.most_executions is None else anyio.CapacityLimiter(self.most_executions)

    @contextmanager
    def execution(self) -> Iterator[None]:
        """A block in which code runs. Raises RateLimited where as much runs already as may."""
        if self._running is None:
            yield
            return
        borrower = object()
        try:
            self._running.acquire_on_behalf_of_nowait(borrower)
        except anyio.WouldBlock as error:
            raise RateLimited(
                f"{self.most_executions} executions are under way with this API key, and it may have no more at once. "
                "Wait for one to end.",
                retry_after=1,
            ) from error
        try:
            yield
        finally:
            self._running.release_on_behalf_of(borrower)

    @asynccontextmanager
    async def execution_in_turn(self) -> AsyncIterator[None]:
        """The same, waiting for others to end."""
        if self._running is None:
            yield
            return
        borrower = object()
        await self._running.acquire_on_behalf_of(borrower)
        try:
            yield
        finally:
            self._running.release_on_behalf_of(borrower)

    def take_request(self, headers: dict[str, str]) -> None:
        """Count a request, and tell in the answer's `headers` how many are left. Raises RateLimited."""
        if self.allowance is None:
            return
        wait = self.allowance.take(time.monotonic())
        full_at = now_microseconds() + int(self.allowance.seconds_until_full * 1_000_000)
        headers["anthropic-ratelimit-requests-limit"] = str(self.allowance.per_minute)
        headers["anthropic-ratelimit-requests-remaining"] = str(self.allowance.left)
        headers["anthropic-ratelimit-requests-reset"] = rfc3339(full_at)
        if wait:
            raise RateLimited(
                f"This API key may send {self.allowance.per_minute} requests a minute, and has sent them.",
                retry_after=math.ceil(wait),
            )


class Access:
    """Lets requests in. Made by `open_access`."""

    def __init__(self, store: Store, stored_bytes: int) -> None:
        self._store = store
        self._stored_bytes = stored_bytes
        self._clients: dict[str, Client] = {}
        """Of the keys that are good, by digest."""
        self._looked_at = -math.inf
        self._version: int | None = None
        """Of the keys that we know."""
        self._anyone = Client(most_stored_bytes=stored_bytes)
        self.has_keys = False
        """Whether a key was ever made, revoked ones counting too: to revoke the last one opens nothing."""

    async def admit(self, scope: Scope, headers: dict[str, str]) -> Client:
        """Who sends the request; `headers` are those of the answer. Raises Unauthenticated and RateLimited."""
        if is_open(scope["path"]):
            return self._anyone
        await self._look()
        if not self.has_keys:
            return self._anyone
        key = shown_key(scope)
        if key is None and scope.get(OWNER):
            return self._anyone  # who could make a key as well
        if key is None:
            raise Unauthenticated(
                "This server asks for an API key: send one as `x-api-key` or as `authorization: Bearer`. "
                "`belljar keys create` makes them."
            )
        client = self._clients.get(digest_of(key))
        if client is None:
            raise Unauthenticated("The API key is not known to this server, or was revoked.")
        client.take_request(headers)
        return client

    def look_again(self) -> None:
        """Ask the store at the next request, however short the last time is ago."""
        self._looked_at = -math.inf

    async def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now  # before we look: whoever comes meanwhile need not look too
        version = self._store.keys_version()
        if version is not None and version == self._version:
            return
        keys = await self._store.all_keys()
        self._version = version
        self.has_keys = bool(keys)
        good = {key.digest: key for key in keys if key.revoked_at is None}
        self._clients = {
            digest: self._clients.get(digest) or self._client(key, now) for digest, key in good.items()
        }

    def _client(self, key: Key, now: float) -> Client:
        return Client(
            key.tenant,
            self._stored_bytes if key.stored_bytes is None else key.stored_bytes,
            key.containers,
            key.executions,
            None if key.requests_per_minute is None else Allowance(key.requests_per_minute, now),
            has_key=True,
            key_id=key.id,
            budget=key.budget,
            budget_period=key.budget_period,
        )


async def open_access(store: Store, stored_bytes: int) -> Access:
    """`stored_bytes` are a tenant's, where the key does not say otherwise."""
    access = Access(store, stored_bytes)
    await access._look()
    return access


def shown_key(scope: Scope) -> bytes | None:
    """The key in a request's headers: `x-api-key`, else `authorization: Bearer`."""
    bearer = None
    for name, value in scope["headers"]:
        if name == b"x-api-key" and value:
            return bytes(value)
        if name == b"authorization" and bearer is None:
            scheme, _, token = value.partition(b" ")
            bearer = token.strip() if scheme.lower() == b"bearer" else None
    return bearer or None


def digest_of(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


@dataclass(frozen=True)
class KeyLimits:
    """What a new key may have; None of each is none, and of the last the setting's."""

    requests_per_minute: int | None = None
    executions: int | None = None
    containers: int | None = None
    stored_bytes: int | None = None
    budget: int | None = None
    budget_period: str = "month"


async def create_key(store: Store, name: str, tenant: str, limits: KeyLimits) -> tuple[Key, str]:
    """Make a key. Returns its record and the key itself, which is kept nowhere. Raises InvalidRequest."""
    _check_word(name, "name")
    _check_word(tenant, "tenant")
    secret = "bj_" + "".join(secrets.choice(_KEY_LETTERS) for _ in range(_KEY_LENGTH))
    key = Key(
        new_id("key"),
        name,
        tenant,
        digest_of(secret.encode()),
        limits.requests_per_minute,
        limits.executions,
        limits.containers,
        limits.stored_bytes,
        now_microseconds(),
        budget=limits.budget,
        budget_period=limits.budget_period,
    )
    if not await store.add_key(key):
        raise InvalidRequest(
            f"There is a key {name!r} already. Choose another name, or revoke that one first."
        )
    return key, secret


async def revoke_key(store: Store, name: str) -> None:
    """Refuse the key of this name or id from now on. Raises InvalidRequest where there is none."""
    if not await store.revoke_key(name, now_microseconds()):
        raise InvalidRequest(
            f"There is no key {name!r} that could be revoked. `belljar keys list` has all of them."
        )


def _check_word(word: str, what: str) -> None:
    if not 1 <= len(word) <= _NAME_LENGTH or not _NAME_LETTERS.issuperset(word):
        raise InvalidRequest(
            f"{word!r} cannot be the {what} of a key: it has 1 to {_NAME_LENGTH} ASCII letters, digits and . _ - @"
        )
