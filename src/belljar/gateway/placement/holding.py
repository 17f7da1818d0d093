"""Blocks in which somebody needs a container, and hears of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from belljar import errors
from belljar.gateway.placement.session import Entry

if TYPE_CHECKING:
    from belljar.gateway.placement.local import LocalPlacement

KEEPER_ENDED = "the keeper process that ran it ended"


class Held:
    """A block in which an entry does not expire and does not give way."""

    def __init__(self, placement: LocalPlacement, entry: Entry) -> None:
        self._placement = placement
        self._entry = entry

    def __enter__(self) -> Entry:
        self._placement.begin_use(self._entry)
        return self._entry

    def __exit__(self, *_: object) -> None:
        self._placement.end_use(self._entry)


class Watching:
    """A block in which the keeper's death, and the container's, are noticed."""

    def __init__(self, placement: LocalPlacement, container_id: str) -> None:
        self._placement = placement
        self._container_id = container_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, errors.KeeperLost):
            self._placement.notice_loss()
            if self._placement.is_open(
                self._container_id
            ):  # with a keeper whose end was seen before this began
                self._placement.lose(self._container_id, KEEPER_ENDED)
        elif isinstance(error, errors.SessionLost):
            came_up = not isinstance(error, errors.RuntimeUnavailable)
            why = "its session broke" if came_up else "its runtime did not come up"
            self._placement.lose(self._container_id, why)
        elif isinstance(error, errors.NotFound):
            self._placement.lose(self._container_id, "its session ended")
            if self._placement.is_asleep(self._container_id):
                raise errors.SessionLost(f"The session of {self._container_id} has ended.") from error
            raise self._placement.register.gone(self._container_id) from error
