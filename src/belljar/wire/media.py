"""What a file is, read off its first bytes; its name only decides among what the bytes allow."""

from __future__ import annotations

import struct

HEAD_BYTES = 4096
"""How much of a file `media_type` wants to see."""

IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What clients and models can show."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"\x93NUMPY", "application/x-npy"),
    (0, b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"BM", "image/bmp"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
    (257, b"ustar", "application/x-tar"),
)
_IN_ZIP = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
    "npz": "application/x-npz",
}
_TEXT = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "py": "text/x-python",
    "tex": "text/x-tex",
    "ics": "text/calendar",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "ipynb": "application/x-ipynb+json",
    "geojson": "application/geo+json",
    "xml": "application/xml",
    "svg": "image/svg+xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "js": "text/javascript",
    "sql": "application/sql",
}
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b\x08")
_EXTENSIONS = {
    kind: extension for table in (_IN_ZIP, _TEXT) for extension, kind in reversed(table.items())
} | {
    "text/plain": "txt",
    "text/html": "html",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/yaml": "yaml",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/gzip": "gz",
    "application/vnd.ms-excel": "xls",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
}


def media_type(name: str, head: bytes) -> str:
    """The media type of a file called `name` that begins with `head` (its first HEAD_BYTES, or all of it)."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic and _is_credible(kind, head):
            return _IN_ZIP.get(extension, kind) if kind == "application/zip" else kind
    if is_text(head, is_whole=len(head) < HEAD_BYTES):
        return _TEXT.get(extension, "text/plain")
    return "application/octet-stream"


_MOST_SEGMENTS = 1000


def dimensions(body: bytes) -> tuple[int, int] | None:
    """Width and height of a picture of one of `IMAGES`, off its header; None where they are not there to be read."""
    try:
        if body.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack_from(">II", body, 16)
        if body.startswith(b"GIF8"):
            return struct.unpack_from("<HH", body, 6)
        if body.startswith(b"\xff\xd8"):
            return _of_jpeg(body)
        if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
            return _of_webp(body)
    except struct.error:
        return None
    return None


def _of_jpeg(body: bytes) -> tuple[int, int] | None:
    """Segment by segment, to the frame's own (ITU T.81, B.2.2), which nobody puts behind so many that it would take
    long to get there."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker, length = struct.unpack_from(">HH", body, at)
        if marker >> 8 != 0xFF:
            return None
        if marker & 0xF0 == 0xC0 and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = struct.unpack_from(">HH", body, at + 5)
            return width, height
        at += 2 + length
    return None


def _of_webp(body: bytes) -> tuple[int, int] | None:
    """By its first chunk: lossy, lossless, or extended (RFC 9649)."""
    kind = body[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", body, 24)
        return (low_width | high_width << 16) + 1, (low_height | high_height << 16) + 1
    return None


def is_text(head: bytes, *, is_whole: bool = False) -> bool:
    """Whether `head` can be the beginning of a text in UTF-8, or, where it `is_whole`, is one."""
    if any(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character may be cut in two where the head ends.
        return not is_whole and error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True


def extension_of(kind: str) -> str:
    """The usual extension of files of the media type `kind`, without the dot; `bin` where there is none."""
    return _EXTENSIONS.get(kind.partition(";")[0].strip().lower(), "bin")


def _is_credible(kind: str, head: bytes) -> bool:
    """Letters alone are a weak sign: a text that begins with them is a text. Of all these only a PDF may be one."""
    if kind == "image/webp" and head[:4] != b"RIFF":
        return False
    return kind == "application/pdf" or not is_text(head)
