"""The page at `/`: the files that `make page` has built, under a policy that lets it load nothing from anywhere else.

They are read once, when the server starts. What lies in `assets/` has a digest of its content in its name, so a browser
asks for it once; the document names them and is asked for each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

import belljar

FOLDER = Path(belljar.__file__).parent / "page"
"""Where they lie, if they were built."""
_DOCUMENT = "index.html"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No string becomes markup but through the one policy that the page's sanitiser makes.
        "require-trusted-types-for 'script'",
        "trusted-types dompurify",
    )
)
_FOREVER = "public, max-age=31536000, immutable"
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # Browsers may look up the hosts of links that nobody has followed, and a name can carry what a model has read.
    "x-dns-prefetch-control": "off",
}
_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Belljar</title>
<p>Belljar is running, and its page was not built here: install Node 20 or newer with npm, run <code>make page</code> in
Belljar's checkout, and start the server again. The API works without it.</p></html>
"""


@dataclass(frozen=True)
class _File:
    body: bytes
    packed: bytes | None
    """The same by gzip."""
    media_type: str
    tag: str


Page = Mapping[str, _File]
"""By path below `/page/`."""


def load(folder: Path = FOLDER) -> Page:
    """The files of the page; none where it was not built."""
    found = {}
    for path in sorted(folder.rglob("*")) if (folder / _DOCUMENT).is_file() else ():
        media_type = _MEDIA_TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            continue
        body, packed = path.read_bytes(), path.with_name(f"{path.name}.gz")
        found[path.relative_to(folder).as_posix()] = _File(
            body,
            packed.read_bytes() if packed.is_file() else None,
            media_type,
            hashlib.sha256(body).hexdigest()[:32],
        )
    return found


def answer(page: Page | None, path: str | None, headers: Mapping[str, str]) -> Response:
    """The document (without a `path`) or another file; `page` is None where there is to be none. Raises 404."""
    if page is None:
        raise HTTPException(404)
    if path is None and not page:
        own = {**_HEADERS, "cache-control": "no-store"}
        return Response(_NOT_BUILT, 503, own, media_type="text/html")
    file = page.get(_DOCUMENT if path is None else path)
    if file is None or path == _DOCUMENT:
        raise HTTPException(404)
    is_packed = file.packed is not None and "gzip" in headers.get("accept-encoding", "")
    tag = f'"{file.tag}{"-gz" if is_packed else ""}"'
    own = {
        **_HEADERS,
        "cache-control": _FOREVER if path and path.startswith("assets/") else "no-cache",
        "etag": tag,
        "vary": "accept-encoding",
    }
    if tag in headers.get("if-none-match", ""):
        return Response(status_code=304, headers=own)
    if is_packed:
        own["content-encoding"] = "gzip"
    own["content-type"] = file.media_type
    return Response(file.packed if is_packed else file.body, headers=own)
