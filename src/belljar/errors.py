"""Engine errors: what went wrong outside of the user's code.

What the user's code can cause is an *outcome* inside a normal answer, and never one of these.
"""

from __future__ import annotations

from typing import Any


class BelljarError(Exception):
    """Something outside of the user's code failed.

    `status` and `kind` are the HTTP status and the error type under which the API reports it.
    """

    status = 500
    kind = "api_error"


class InvalidRequest(BelljarError):
    """The caller asked for something that cannot be done as asked; nothing was run."""

    status = 400
    kind = "invalid_request_error"


class Unauthenticated(BelljarError):
    """The caller shows no API key, or one that is not known here."""

    status = 401
    kind = "authentication_error"


class BudgetSpent(BelljarError):
    """The caller's API key has spent what it may; nothing was run, and nothing will before that changes."""

    status = 402
    kind = "billing_error"


class NotFound(BelljarError):
    """The container, session or file that the caller named does not exist (any more)."""

    status = 404
    kind = "not_found_error"


class NoSuchFile(BelljarError):
    """There is no file of that path in the working directory; its container is there."""

    status = 404
    kind = "not_found_error"
    details = {"error_code": "no_such_file"}  # noqa: RUF012 - read only


class Conflict(BelljarError):
    """What the caller asks for does not fit the state that a thing of its is in; the same request will not succeed."""

    status = 409
    kind = "conflict_error"


class RequestTooLarge(BelljarError):
    """The body is over the limit; nothing was run."""

    status = 413
    kind = "request_too_large"


class _Later(BelljarError):
    """The same request can succeed later: in so many seconds, at a guess."""

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = None if retry_after is None else str(retry_after)


class Overloaded(_Later):
    """Every place for a session was taken, for as long as the caller could wait; or all memory for large requests."""

    status = 529
    kind = "overloaded_error"


class RateLimited(_Later):
    """The caller asks for more than it may have at once, or in a minute; or there are too many containers."""

    status = 429
    kind = "rate_limit_error"


class JailUnavailable(BelljarError):
    """This machine does not give what the jail needs; Belljar does not start without it."""

    status = 503


class SessionLost(BelljarError):
    """One session could not be made, or has broken; the keeper and its other sessions go on."""

    status = 503


class RuntimeUnavailable(SessionLost):
    """The runtime that a session was to have does not come up; other runtimes go on."""


class NotKept(BelljarError):
    """A session's files could not be put away, or not be brought back."""

    status = 503


class StoreFailed(BelljarError):
    """What the server keeps cannot be read or written: its disk is full, or its database is damaged."""

    status = 503


class KeeperLost(BelljarError):
    """The keeper process, or a part of it that all sessions need, ended; its sessions are gone."""

    status = 503


class Unreachable(BelljarError):
    """A Belljar server that the library was pointed at does not answer, or is none."""

    status = 503


class UpstreamError(BelljarError):
    """The model server refused, could not be reached, or broke off."""

    status = 502

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        kind: str = "api_error",
        retry_after: str | None = None,
        details: dict[str, Any] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after
        self.details = details
        """By whose `error_code` SDKs choose the class of the error."""


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of a task group in which one task failed; else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
