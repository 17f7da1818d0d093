"""The log on standard error: lines for people where that is a terminal, else JSON. See `logged` for what it may say."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from pathlib import Path

import structlog
from structlog.typing import EventDict

from belljar.logged import REQUEST_ID, StandardError, clipped, traceback_of

LOG_BYTES = 64 * 1024 * 1024
"""Of the log of a server in the background."""
_QUOTES = re.compile(r"[\n<(\[{'\"]")


def to_stderr(level: str, *, with_content: bool) -> None:
    """Have everything that is logged in this process go there, that of libraries from `warning` on."""
    stderr = StandardError()

    def with_request(_: object, __: str, event: EventDict) -> EventDict:
        if request_id := REQUEST_ID.get():
            event.setdefault("request_id", request_id)
        return event

    def with_exception(_: object, __: str, event: EventDict) -> EventDict:
        # Before a renderer sees it, which would print the values of variables.
        found = event.pop("exc_info", None)
        if found is True:
            found = sys.exc_info()[1]
        if isinstance(found, tuple):
            found = found[1]
        if isinstance(found, BaseException):
            event["exception"] = traceback_of(found, with_content=with_content)
        return event

    structlog.configure(
        processors=[
            with_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            with_exception,
            structlog.dev.ConsoleRenderer() if stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(stderr),  # type: ignore[arg-type]  # it prints there, no more
    )
    logging.basicConfig(handlers=[_Libraries(with_content=with_content)], level=logging.WARNING, force=True)
    for name in (
        "python_multipart",  # warns of every form that is not well made: that is for the client to be told, who is
        "opentelemetry",  # what becomes of spans we say ourselves, once
    ):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("mcp").setLevel(
        logging.ERROR
    )  # it warns of what a client sends as python_multipart does


def keep_short(file: Path) -> None:
    """Of a log that has become long, begin anew, and keep the one before beside it. All who write there append."""
    try:
        if file.stat().st_size > LOG_BYTES:
            shutil.copyfile(file, file.with_suffix(".old"))
            os.truncate(file, 0)
    except OSError as error:
        structlog.get_logger("belljar.gateway").warning("the log grows on", error=error.strerror)


class _Libraries(logging.Handler):
    """What libraries say, as lines of ours: no more than the beginning, since they quote anybody's words behind it."""

    def __init__(self, *, with_content: bool) -> None:
        super().__init__()
        self._with_content = with_content

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._with_content:
                words = clipped(record.getMessage())
            else:
                words = _QUOTES.split(str(record.msg), maxsplit=1)[0].strip()
            structlog.get_logger(record.name).log(
                record.levelno, "a library", logger=record.name, says=words, exc_info=record.exc_info
            )
        except Exception:  # noqa: BLE001 - as of every handler: a log that fails is no reason to fail
            self.handleError(record)
