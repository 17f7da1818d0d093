"""A file that a client sends: a form (multipart/form-data), read as it comes in and never held whole."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from belljar.errors import InvalidRequest, RequestTooLarge
from belljar.gateway.files import Facts

FORM_BYTES = 64 * 1024
"""Of all of a form but its file."""
_FILE, _EXPIRES = "file", "expires_in_seconds"
_FIELD_BYTES = 1024
MIN_SECONDS, MAX_SECONDS = 3600, 90 * 24 * 3600
_NAME_CHARACTERS = 255
_NOT_IN_NAMES = frozenset('<>:"|?*\\/')
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)
_UNNAMED = b"upload"
"""What bytes are called that are sent without a name: older SDKs say so themselves, newer ones say nothing."""
_UNKNOWN_TYPE = "application/octet-stream"
"""What clients send where they know nothing."""


class Form:
    """The form of POST /v1/files. `pieces` reads it; then `facts` has what it says of the file.

    Both raise InvalidRequest for what is wrong with it; `pieces` raises RequestTooLarge for a file over `most_bytes`.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes], most_bytes: int) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidRequest(
                "A file is sent as a form: the content type has to be multipart/form-data, with a boundary, and the "
                "form to have a part `file` with a file name."
            )
        self._body = body
        self._most_bytes = most_bytes
        self._size = 0
        self._filename: str | None = None
        self._mime_type: str | None = None
        self._expires: bytes | None = None
        self._found: list[bytes] = []
        """Pieces of the file that are not passed on yet."""
        self._is_complete = False
        self._part = ""
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_part_data": self._on_part_data,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise InvalidRequest(f"The boundary of multipart/form-data cannot be used: {error}") from error

    async def pieces(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise InvalidRequest(f"The form is not as RFC 7578 has it: {error}") from error
            found, self._found = self._found, []
            for piece in found:
                yield piece

    def facts(self) -> Facts:
        if not self._is_complete:
            raise InvalidRequest("The form ends before its last boundary.")
        if self._filename is None:
            raise InvalidRequest("file: Field required: a part of the form with that name, and a file name")
        return Facts(self._filename, self._mime_type, self._keep_seconds())

    def _keep_seconds(self) -> int | None:
        if self._expires is None:
            return None
        text = self._expires.decode("ascii", "replace").strip()
        if not re.fullmatch("[0-9]{1,9}", text) or not MIN_SECONDS <= int(text) <= MAX_SECONDS:
            raise InvalidRequest(
                f"{_EXPIRES}: it has to be a whole number from {MIN_SECONDS} (an hour) to {MAX_SECONDS} (90 days). "
                "Without it the file is kept until it is deleted."
            )
        return int(text)

    # -- what the parser finds, in the order in which it does ----------------------------------------------

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part == _FILE:
            if self._filename is not None:
                raise InvalidRequest("file: the form has two of them; send one file with each request")
            # A part without a type is a text in a form: of one that was to name a file, the `@` is forgotten.
            unnamed = _UNNAMED if b"content-type" in self._headers else b""
            self._filename = _checked_name(options.get(b"filename", unnamed))
            kind, _ = parse_options_header(self._headers.get(b"content-type"))
            text = kind.decode("latin-1")
            self._mime_type = text if _MEDIA_TYPE.fullmatch(text) and text != _UNKNOWN_TYPE else None
        elif self._part == _EXPIRES:
            if self._expires is not None:
                raise InvalidRequest(f"{_EXPIRES}: the form has two of them")
            self._expires = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == _FILE:
            self._size += end - start
            if self._size > self._most_bytes:
                raise RequestTooLarge(too_large(self._most_bytes))
            self._found.append(data[start:end])
        elif self._part == _EXPIRES:
            assert self._expires is not None
            self._expires = (self._expires + data[start:end])[:_FIELD_BYTES]

    def _on_end(self) -> None:
        self._is_complete = True


def too_large(most_bytes: int) -> str:
    """What is said of a file that is larger, by whomever it is noticed."""
    return f"The file has more than the {most_bytes} bytes that are allowed (BELLJAR_MAX_FILE_BYTES)."


def _checked_name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest("file: the file name is not UTF-8. Send it so.") from error
    if not 1 <= len(name) <= _NAME_CHARACTERS:
        raise InvalidRequest(
            f"file: a file name has 1 to {_NAME_CHARACTERS} characters, this one has {len(name)}. "
            "Send the part with another `filename`."
        )
    wrong = sorted({c for c in name if c in _NOT_IN_NAMES or ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0})
    if wrong or name in {".", ".."}:
        found = " ".join(map(repr, wrong)) or "it names a directory"
        raise InvalidRequest(
            f"file: {name!r} cannot be a file name here ({found}): leave out control characters and "
            '< > : " | ? * \\ /, or put _ in their place.'
        )
    return name
