"""Records of what is kept. One Protocol, one file for each database that answers to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

TENANT = "default"
"""The one tenant, as long as there are no API keys of our own."""


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
    created_at: int
    expires_at: int


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


class Store(Protocol):
    """Every method is one transaction; all of them may be called at the same time."""

    async def add_file(self, file: File) -> None:
        """Keep a new record."""

    async def find_file(self, tenant: str, file_id: str) -> File | None:
        """The record, also where it has expired."""

    async def remove_file(self, tenant: str, file_id: str) -> bool:
        """Forget it. Returns whether there was one."""

    async def expired_files(self, now: int) -> list[File]:
        """The records whose `expires_at` has passed, of every tenant."""

    async def all_file_ids(self) -> set[str]:
        """Of every tenant: for the clean-up of blobs that no record names."""

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
