"""Images and documents that a request names by the id of a file.

The files are kept here, and the model server has never heard of their ids: so it gets the bytes in their place.
https://platform.claude.com/docs/en/build-with-claude/files
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from belljar.errors import InvalidRequest, NotFound, RequestTooLarge
from belljar.gateway.files import TenantFiles
from belljar.gateway.store import File
from belljar.wire import media
from belljar.wire.messages import Message

Block = dict[str, Any]

_NAMED = frozenset({"image", "document"})
_PDF, _TEXT = "application/pdf", "text/plain"


async def filled(
    files: TenantFiles, messages: list[Message], most_bytes: int, *, has_code: bool
) -> list[Message]:
    """The messages with the files themselves in them, of which all together may have `most_bytes`.

    A document of a type that no model reads is left for code where the request `has_code`. A file that is gone is a
    text that says so, in what is history. Raises InvalidRequest, NotFound and RequestTooLarge, naming the block's path.
    """
    filler = _Filler(files, most_bytes, has_code)
    out = []
    for number, message in enumerate(messages):
        if message.role != "user" or isinstance(message.content, str) or not _names_files(message.content):
            out.append(message)
            continue
        is_last = number == len(messages) - 1
        content = await filler.blocks(message.content, f"messages.{number}.content", is_last=is_last)
        out.append(message.model_copy(update={"content": content}))
    return out


def _names_files(blocks: list[Block]) -> bool:
    return any(
        _file_source(block) is not None or _names_files(_result(block)) or _names_files(_parts(block))
        for block in blocks
    )


def _file_source(block: Block) -> Block | None:
    source = block.get("source") if block.get("type") in _NAMED else None
    return source if isinstance(source, dict) and source.get("type") == "file" else None


def _result(block: Block) -> list[Block]:
    """The blocks in a tool's result."""
    return _dicts(block.get("content")) if block.get("type") == "tool_result" else []


def _parts(block: Block) -> list[Block]:
    """The blocks of which a document is made up."""
    source = block.get("source") if block.get("type") == "document" else None
    return _dicts(source.get("content")) if isinstance(source, dict) else []


def _dicts(content: object) -> list[Block]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


@dataclass
class _Filler:
    files: TenantFiles
    left_bytes: int
    has_code: bool

    async def blocks(self, blocks: list[Block], path: str, *, is_last: bool) -> list[Block]:
        out = []
        for number, block in enumerate(blocks):
            here = f"{path}.{number}"
            if _file_source(block) is not None:
                block = await self._filled(block, f"{here}.source.file_id", is_last=is_last)
            elif result := _result(block):
                block = {**block, "content": await self.blocks(result, f"{here}.content", is_last=is_last)}
            elif parts := _parts(block):
                parts = await self.blocks(parts, f"{here}.source.content", is_last=is_last)
                block = {**block, "source": {**block["source"], "content": parts}}
            out.append(block)
        return out

    async def _filled(self, block: Block, path: str, *, is_last: bool) -> Block:
        file_id = block["source"].get("file_id")
        if not isinstance(file_id, str):
            raise InvalidRequest(f"{path}: Input should be a valid string")
        try:
            file = await self.files.find(file_id)
            body = await self._read(file, path)
        except NotFound as error:
            if is_last:
                raise type(error)(f"{path}: {error}") from error  # with its error_code
            return {
                "type": "text",
                "text": f"[The file {file_id} that was attached here is no longer there.]",
            }
        if block["type"] == "image":
            return {**block, "source": _image(file, body, path)}
        title = block.get("title") or file.filename
        return {**block, "source": self._document(file, body, path), "title": title}

    async def _read(self, file: File, path: str) -> bytes:
        pieces = await self.files.open(file)
        self.left_bytes -= file.size_bytes
        if self.left_bytes < 0:
            raise RequestTooLarge(
                f"{path}: with {file.filename!r} ({file.size_bytes} bytes) the files that the request shows the model "
                "are larger than a request may be. Leave it out, or send it as a `container_upload` for code to read."
            )
        return b"".join([piece async for piece in pieces])

    def _document(self, file: File, body: bytes, path: str) -> Block:
        if body.startswith(b"%PDF-"):
            return _base64(_PDF, body)
        is_plain = file.mime_type.partition(";")[0] == _TEXT
        if is_plain or not self.has_code:
            try:
                return {"type": "text", "media_type": _TEXT, "data": body.decode("utf-8-sig")}
            except UnicodeDecodeError as error:
                if not self.has_code:
                    raise InvalidRequest(
                        f"{path}: {file.filename!r} is {file.mime_type}, and a document is a PDF or a text in UTF-8. "
                        "An image goes into an `image` block; of all else code can read: send it as a "
                        "`container_upload`, with the code execution tool."
                    ) from error
        return _base64(file.mime_type, body)


def _image(file: File, body: bytes, path: str) -> Block:
    kind = media.media_type(file.filename, body[: media.HEAD_BYTES])
    if kind not in media.IMAGES:
        known = ", ".join(sorted(media.IMAGES))
        raise InvalidRequest(f"{path}: {file.filename!r} is {kind}, and an image is one of: {known}")
    return _base64(kind, body)


def _base64(kind: str, body: bytes) -> Block:
    return {"type": "base64", "media_type": kind, "data": base64.b64encode(body).decode()}
