"""Documents and uploads in a request: files for the session, and a few words about each for the model.

Pure. A name stands for the same bytes throughout a container's life: the same document again is the same
file and is not written again, since code may have changed it; another document gets another name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from belljar.errors import InvalidRequest
from belljar.inputs import NAME_BYTES, decoded
from belljar.wire import media
from belljar.wire.messages import Message

_PREVIEW_LINES = 5
_PREVIEW_CHARS = 1000
HEAD_BYTES = 16 * _PREVIEW_CHARS
"""Of a file, that are looked at to describe it."""
_LINE_CHARS = 200
_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Upload:
    """A file of the Files API."""

    file_id: str
    filename: str
    mime_type: str
    size_bytes: int
    head: bytes
    """How it begins."""


@dataclass(frozen=True)
class Attachment:
    """A file to be there before code runs, under a name that is its own in the container."""

    name: str
    body: bytes | Upload
    digest: str
    """Of the bytes; of an upload, which does not change, its id."""


@dataclass(frozen=True)
class Attached:
    """The request's messages with a description beside or instead of each document, and the files."""

    messages: list[Message]
    files: list[Attachment]


def uploads_in(messages: list[Message]) -> dict[str, str]:
    """The ids of the uploads that the user's messages name, each with the path of the block that names it last.

    Raises InvalidRequest for a block without one.
    """
    found: dict[str, str] = {}
    for i, message in enumerate(messages):
        for j, block in enumerate(message.blocks):
            path = f"messages.{i}.content.{j}"
            if message.role != "user" or block.get("type") != "container_upload":
                continue
            if not isinstance(block.get("file_id"), str):
                raise InvalidRequest(f"{path}.file_id: Input should be a valid string")
            found[block["file_id"]] = path
    return found


def attach(
    messages: list[Message],
    given: Mapping[str, str],
    uploads: Mapping[str, Upload | None] = MappingProxyType({}),
) -> Attached:
    """Take the documents and uploads out of the user's messages. Of an upload that is gone None is known.

    `given` are the names that are taken in the container, with the digest of what was written there by us
    (an empty one for what code wrote). Raises InvalidRequest, naming the block's path.
    """
    names = _Names(dict(given))
    files: dict[str, Attachment] = {}
    out: list[Message] = []
    generated = 0
    for i, message in enumerate(messages):
        if message.role != "user" or isinstance(message.content, str):
            out.append(message)
            continue
        blocks: list[dict[str, Any]] = []
        for j, block in enumerate(message.content):
            path = f"messages.{i}.content.{j}"
            if block.get("type") == "container_upload":
                told, upload = _uploaded(block["file_id"], uploads.get(block["file_id"]), names)
                if upload is not None:
                    files.setdefault(upload.name, upload)
                blocks.append(told | _cache_control(block))
                continue
            body = _body(block, path)
            if body is None:
                blocks.append(block)
                continue
            kind = str(block["source"].get("media_type") or "text/plain")
            wanted = _name_of(block.get("title"), f"{path}.title")
            if not wanted:
                generated += 1
                wanted = f"document-{generated}.{media.extension_of(kind)}"
            file = names.give(wanted, body, digest_of(body))
            files.setdefault(file.name, file)
            told = {"type": "text", "text": describe(file.name, len(body), kind, body)}
            if _is_readable(block):
                blocks += [block, told]
            else:
                blocks.append(told | _cache_control(block))
        out.append(message.model_copy(update={"content": blocks}))
    return Attached(out, list(files.values()))


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def describe(name: str, size: int, kind: str, beginning: bytes) -> str:
    """What the model is told of a file: path, size, type, and how it begins."""
    head = f"[Attached file: {name} (in the working directory, which is $INPUT_DIR), {size} bytes, {kind}."
    text = as_text(beginning[:HEAD_BYTES])
    if text is None:
        return f"{head} It is binary: read it with code.]"
    if not text.strip():
        return f"{head} It is empty.]"
    lines = [line[:_LINE_CHARS] for line in text.splitlines()[:_PREVIEW_LINES]]
    # A fence in the file is no fence of the user's: the `direct` upstream would run it.
    preview = "\n".join(lines)[:_PREVIEW_CHARS].replace("```", "'''")
    return f"{head} It begins:]\n{preview}"


def as_text(head: bytes) -> str | None:
    """The beginning of a file as text, however it is encoded; None where it is binary."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) & ~1].decode("utf-16", errors="replace")
    if media.is_text(head):
        return head.decode("utf-8-sig", errors="replace")
    if media.media_type("", head) != "application/octet-stream" or any(
        b < 0x20 and b not in b"\t\n\r\f" for b in head
    ):
        return None
    return head.decode("latin-1")


def _body(block: dict[str, Any], path: str) -> bytes | None:
    """The bytes of a document; None for all other blocks and for documents that are not in the request."""
    source = block.get("source")
    if block.get("type") == "document" and source is None:
        raise InvalidRequest(f"{path}.source: Field required")
    if block.get("type") != "document" or not isinstance(source, dict):
        return None
    if source.get("type") == "base64":
        return decoded(source.get("data"), f"{path}.source.data")
    if source.get("type") == "text":
        text = source.get("data")
        if not isinstance(text, str):
            raise InvalidRequest(f"{path}.source.data: Input should be a valid string")
        return text.encode("utf-8", errors="replace")
    return None


def _name_of(title: object, path: str) -> str:
    """The file name that a title gives, which may be any text; empty where there is none."""
    if title is None:
        return ""
    if not isinstance(title, str):
        raise InvalidRequest(f"{path}: Input should be a valid string")
    name = _NOT_IN_NAMES.sub("_", title).encode("utf-8", "replace").decode()
    return _shortened(PurePosixPath(name), "") if name not in {"", ".", ".."} else ""


def _is_readable(block: dict[str, Any]) -> bool:
    """Whether the model can read the document itself: the Messages API has PDF and plain text."""
    source = block["source"]
    if source["type"] == "base64":
        return bool(source.get("media_type") == "application/pdf")
    return bool(source.get("media_type", "text/plain") == "text/plain")


def _uploaded(file_id: str, upload: Upload | None, names: _Names) -> tuple[dict[str, Any], Attachment | None]:
    """What the model is told of an upload, and the file; None where it is gone, or is there already."""
    if upload is None:
        known = next((name for name, digest in names.taken.items() if digest == file_id), None)
        where = f"is {known} in $INPUT_DIR" if known else "is no longer there"
        return {"type": "text", "text": f"[The file {file_id} that was attached here {where}.]"}, None
    file = names.give(upload.filename, upload, file_id)
    text = describe(file.name, upload.size_bytes, upload.mime_type, upload.head)
    return {"type": "text", "text": text}, file


def _cache_control(block: dict[str, Any]) -> dict[str, Any]:
    return {name: block[name] for name in ("cache_control",) if block.get(name)}


@dataclass
class _Names:
    """The names of files, with the digest of what each stands for."""

    taken: dict[str, str]
    _tried: dict[str, dict[str, str]] = field(default_factory=dict)
    """By a name that was wanted: of each digest the name that it has of those that were tried, all of which are taken.
    Tried again for each file, a thousand of one name would be half a million names."""
    _counts: dict[str, int] = field(default_factory=dict)
    """How many were tried."""

    def give(self, wanted: str, body: bytes | Upload, digest: str) -> Attachment:
        """The file under `wanted`, or under `wanted (2)` and so on where that is another file."""
        tried = self._tried.setdefault(wanted, {})
        path = PurePosixPath(wanted)
        while digest not in tried:
            count = self._counts[wanted] = self._counts.get(wanted, 0) + 1
            name = wanted if count == 1 else _numbered(path, count)
            tried.setdefault(self.taken.setdefault(name, digest), name)
        return Attachment(tried[digest], body, digest)


def _numbered(path: PurePosixPath, count: int) -> str:
    return _shortened(path, f" ({count})")


def _shortened(path: PurePosixPath, mark: str) -> str:
    """A name with `mark` behind its stem, of which as much is left as there is room for."""
    suffix = path.suffix.encode()[: NAME_BYTES // 2].decode(errors="ignore")
    stem = path.stem.encode()[: NAME_BYTES - len((mark + suffix).encode())].decode(errors="ignore")
    return stem + mark + suffix
