"""Records of what is kept. One Protocol, one file for each database that answers to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

DEFAULT_TENANT = "default"
"""Of whoever asks while there are no API keys, and of keys that name none."""
NEVER = 2**63 - 1
"""`expires_at` of what lives until it is deleted: a time, so that one comparison finds what has expired."""


@dataclass(frozen=True)
class File:
    """A named blob with an owner. The blob's key is the id; times are microseconds since 1970."""

    id: str
    tenant: str
    filename: str
    path: str
    """Relative to the directory in which the run wrote it; differs from `filename` in sub-folders."""
    mime_type: str
    size_bytes: int
    container_id: str | None
    """Where a run made it; None for what a client sent."""
    created_at: int
    expires_at: int

    @property
    def is_downloadable(self) -> bool:
        return self.container_id is not None


@dataclass(frozen=True)
class Key:
    """An API key, without what would let anybody use it. None of a limit is no limit."""

    id: str
    name: str
    tenant: str
    digest: str
    """The SHA-256 of the key, in hexadecimal digits. The key is random and long: nobody finds it by trying."""
    requests_per_minute: int | None
    executions: int | None
    """Under way at once."""
    containers: int | None
    """Of its tenant, at once."""
    stored_bytes: int | None
    """Of its tenant's files; None for the setting."""
    created_at: int
    revoked_at: int | None = None
    budget: int | None = None
    """Millionths of the currency in a period."""
    budget_period: str = "month"
    """`month` or `total`."""


@dataclass(frozen=True)
class UsageRow:
    """What one request has used. `at` is microseconds since 1970, the amount millionths of the currency."""

    request_id: str
    at: int
    tenant: str
    key_id: str | None
    endpoint: str
    model: str
    status: int
    """Of the answer; 0 where the client was gone before it began."""
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    thinking_tokens: int
    code_executions: int
    bash_executions: int
    editor_executions: int
    container_microseconds: int
    images: int
    searches: int
    plan: str | None
    currency: str | None
    amount: int
    billed_microseconds: int
    """Container time that was counted against the tenant's free hours."""
    is_estimated: int = 0
    """1 where tokens were estimated, for the model server had not counted them."""


GroupBy = Literal["tenant", "model", "day", "key"]


@dataclass(frozen=True)
class UsageTotal:
    """The sums of some requests."""

    what: str
    """The tenant, model or id of a key that they have in common, or the day, as days since 1970."""
    currency: str | None
    requests: int
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    thinking_tokens: int
    code_executions: int
    bash_executions: int
    editor_executions: int
    container_microseconds: int
    images: int
    searches: int
    amount: int
    estimated_requests: int
    """Those of which tokens were estimated."""


@dataclass(frozen=True)
class KnownContainer:
    """A container as the next server will know it. Times are microseconds since 1970."""

    id: str
    tenant: str
    limits: str
    """`Limits` as JSON."""
    created_at: int
    last_used_at: int
    expires_at: int
    state: Literal["awake", "asleep"]
    """Awake: by its last word it has a session, and its archive, where there is one, is older than that."""
    archive: str | None
    """The key of the blob that has its files."""
    archived_at: int | None
    given: str
    """`Container.given` as JSON, as it was when the archive was made."""
    runtime: str = "default"


class Store(Protocol):
    """Every method is one transaction; all of them may be called at the same time."""

    async def add_file(self, file: File, most_bytes: int, most_files: int) -> bool:
        """Keep a new record. Returns False, and does not, where its tenant would then have more than so much."""

    async def stored_bytes(self, tenant: str, now: int) -> int:
        """Of all files of a tenant that have not expired."""

    async def find_file(self, tenant: str, file_id: str) -> File | None:
        """The record, also where it has expired."""

    async def find_files(self, tenant: str, file_ids: list[str]) -> list[File]:
        """Those of the records that there are, the newest first."""

    async def older_files(
        self, tenant: str, than: str | None, container_id: str | None, most: int
    ) -> list[File]:
        """A tenant's records, the newest first, from the one that comes after the id `than`, which need not exist."""

    async def newer_files(self, tenant: str, than: str, container_id: str | None, most: int) -> list[File]:
        """The other way, the oldest first."""

    async def remove_file(self, tenant: str, file_id: str) -> bool:
        """Forget it. Returns whether there was one."""

    async def expired_files(self, now: int) -> list[File]:
        """The records whose `expires_at` has passed and that were not marked yet, of every tenant."""

    async def mark_emptied(self, file_id: str) -> None:
        """The blob of an expired file goes."""

    async def remove_emptied_files(self, expired_before: int) -> None:
        """Forget what was marked, and has expired by then."""

    async def all_file_ids(self) -> set[str]:
        """Of every tenant: for the clean-up of blobs that no record names. Marked ones are not among them."""

    async def add_key(self, key: Key) -> bool:
        """Keep a new key. Returns False, and does nothing, where another that is not revoked has its name."""

    async def all_keys(self) -> list[Key]:
        """Revoked ones too, the oldest first."""

    def keys_version(self) -> int | None:
        """Another number once a key was made or revoked, by whichever process. It takes microseconds and waits for
        nobody: None where it would have to."""

    async def revoke_key(self, name: str, now: int) -> bool:
        """Refuse from now on the key that has this name or id. Returns whether there was one."""

    async def add_usage(self, rows: Iterable[UsageRow]) -> None:
        """Keep what requests have used."""

    async def usage_totals(
        self, group_by: GroupBy, start: int, end: int, tenant: str | None
    ) -> list[UsageTotal]:
        """Of the requests from `start` to before `end`, in groups; of one tenant, or of all."""

    async def spent_amount(self, key_id: str, start: int) -> int:
        """By one key from `start` on."""

    async def billed_microseconds(self, tenant: str, start: int) -> int:
        """Of one tenant from `start` on."""

    async def remove_old_usage(self, before: int) -> None:
        """Forget the requests of every tenant before that time."""

    async def save_container(self, container: KnownContainer) -> None:
        """Keep a record, in place of one of the same id."""

    async def touch_containers(self, times: Iterable[tuple[str, int, int]]) -> None:
        """Containers were used: (id, last_used_at, expires_at) of each. One without a record stays without."""

    async def all_containers(self) -> list[KnownContainer]:
        """The records of every tenant, the oldest first."""

    async def expired_containers(self, now: int) -> list[KnownContainer]:
        """The records whose `expires_at` has passed, of every tenant."""

    async def remove_container(self, container_id: str) -> bool:
        """Forget it. Returns whether there was one."""
