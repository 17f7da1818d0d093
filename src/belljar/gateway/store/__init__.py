"""Records of what is kept. One Protocol, one file for each database that answers to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
