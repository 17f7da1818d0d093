"""Where a container's live session is. One Protocol, one file for each way to place sessions on machines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from belljar import orders, results, states
from belljar.builds import DEFAULT
from belljar.records import Limits
from belljar.wire.resources import ContainerUse


@dataclass
class Container:
    """The durable thing that a client names. Times are microseconds since 1970."""

    id: str
    tenant: str
    limits: Limits
    created_at: int
    last_used_at: int
    expires_at: int
    runtime: str = DEFAULT
    """What its code runs in, for life."""
    state: Literal["running", "idle", "asleep"] = "idle"
    """Asleep: without a session, and its files are kept in an archive."""
    given: dict[str, str] = field(default_factory=dict)
    """Names taken in its working directory: the digest of what we wrote there, empty for what code did."""
    last_word: str = ""
    """The message of the last run's outcome, of those that this server has seen."""


@dataclass(frozen=True)
class Load:
    """How many sessions there are, and may be."""

    live: int
    running: int
    """Those that a request is using."""
    most: int
    waiting: int
    """Requests that wait for a place."""
    containers: int
    """All of them."""
    asleep: int


class Session(Protocol):
    """A container's session, while it is ours alone."""

    container_id: str
    was_put_away: bool
    """Whether it was made for a container that had been asleep, and no code has run in it since: what the code knows is
    gone but for its files."""
    restored: str
    """The same as a sentence for whoever reads the result, with what else was lost; empty where nothing was."""

    async def put(self, path: str, digest: str, body: bytes | Callable[[], AsyncIterator[bytes]]) -> None:
        """Write a file into the working directory, in place of one of that path; a large one by a way to read it."""

    async def give(self, name: str, digest: str, body: bytes | Callable[[], AsyncIterator[bytes]]) -> None:
        """The same, unless it was given before."""

    async def execute(
        self,
        run: orders.Run,
        on_event: Callable[[results.Event], None] | None = None,
        on_asks: Callable[[results.Asks], None] | None = None,
    ) -> results.Result:
        """Run code. Raises NotFound where the container is deleted meanwhile, KeeperLost with its keeper."""

    async def reply(self, ask: int, status: orders.ReplyStatus, text: str) -> None:
        """Answer what the run under way has asked."""

    async def interrupt(self) -> None:
        """Have the run under way, if any, end as `interrupted`."""

    def read(self, file: results.WorkFile | results.Lying, offset: int = 0) -> AsyncIterator[bytes]:
        """A file of the last result, or one that was found. Raises InvalidRequest where it is not there any more, or
        was changed."""

    async def files(self) -> states.Files:
        """What lies in the working directory."""

    async def find(self, path: str) -> results.Lying:
        """One of these files. Raises InvalidRequest for what is no path, and NoSuchFile."""

    async def remove(self, path: str) -> None:
        """Delete one of these files. Raises as `find` does."""


class Placement(Protocol):
    """Every method that takes an id raises NotFound for one that is unknown or gone, and says why.

    An id that a client sends goes to `find` first, which alone asks whose container it is.
    """

    @property
    def description(self) -> states.Description:
        """The machine's own word. Of the first keeper, where there are several."""

    @property
    def tiers(self) -> list[states.Tier]:
        """What there is to fork sessions of the default runtime from."""

    @property
    def runtimes(self) -> dict[str, states.RuntimeState]:
        """Those that were built and are in memory, by name."""

    @property
    def is_ready(self) -> bool:
        """Whether code can run now."""

    @property
    def load(self) -> Load: ...

    async def state(self) -> states.State | None:
        """What the keeper has at the moment; None where there is none, or it does not answer."""

    def is_gone(self, container_id: str) -> bool:
        """Whether there is no such container (any more)."""

    def find(self, container_id: str, tenant: str) -> Container:
        """The container, unused by this. One of another tenant is not there."""

    def all(self, tenant: str) -> list[Container]:
        """The tenant's containers that outlive a run, the newest first."""

    def named(self, container_id: str, tenant: str) -> Container | None:
        """The container that a request names; None where there is none, and the request is to have a new one."""

    async def create(
        self,
        limits: Limits,
        tenant: str,
        most: int | None = None,
        *,
        is_kept: bool = True,
        runtime: str = DEFAULT,
    ) -> Container:
        """A new container. Waits in turn while every place is taken by one that is in use.

        It outlives its session and the server, where it `is_kept`: one that is made for a single run does not need to.
        Raises Overloaded when the wait takes too long, RateLimited where too many of the tenant wait, where there are
        as many containers as there may be, or the tenant has `most` already.
        """

    def hold(self, container_id: str) -> AbstractAsyncContextManager[Container]:
        """Keep the container from expiring and from giving way, for as long as a request needs it."""

    def use(
        self, container_id: str, imports: Sequence[str] | None = None
    ) -> AbstractAsyncContextManager[Session]:
        """Have its session alone; it is made when something is asked of it. Others wait in turn.

        One that is asleep is woken first, and waits for a place as a new one does. Raises NotKept where its files
        cannot be brought back, Overloaded, RateLimited.
        `imports` are the names that its code will import; None where more code will come, that may import anything.
        """

    async def measured(self, container_id: str) -> ContainerUse | None:
        """What its session holds now, whether code runs there or not; None where it has none."""

    async def delete(self, container_id: str, why: str) -> None:
        """End it and everything in it."""

    async def discard(self, container_id: str, why: str) -> None:
        """The same for one that may be gone already; no cancellation stops it, and nothing is raised."""

    async def sweep(self) -> None:
        """Delete what has expired, and put away what has not been used for a while."""
