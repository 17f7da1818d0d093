"""Pictures of Pillow, shown as PNG."""

from __future__ import annotations

import io
from typing import Any

from belljar.guest import display
from belljar.guest.figures import MOST_PICTURE_BYTES, MOST_SHOWN

_MOST_SIDE = 4096
"""In pixels; what is larger is shown smaller. A file has it as it is."""
_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"}
"""That a PNG can have."""


def watch_pictures(module: Any) -> None:
    """Of PIL.Image: `Image.show` shows the picture here, where there is no viewer to be started."""

    def show(self: Any, *_: Any, **__: Any) -> None:
        """Display the picture."""
        if display.can_emit():
            display.emit("display_data", bundle(self))

    module.Image.show = show


def bundle(image: Any) -> dict[str, bytes]:
    """The picture by media type; its words alone where it has no pixels."""
    if display.run.shown >= MOST_SHOWN:
        return {"text/plain": b""}
    words = repr(image).encode("utf-8", "backslashreplace")
    if 0 in image.size:
        return {"text/plain": words}
    shown = image if image.mode in _MODES else image.convert("RGB")
    if max(shown.size) > _MOST_SIDE:
        shown = shown.copy()
        shown.thumbnail((_MOST_SIDE, _MOST_SIDE))
    body = _png(shown)
    while len(body) > MOST_PICTURE_BYTES:  # noise does not compress
        shown = shown.copy()
        shown.thumbnail((shown.width // 2, shown.height // 2))
        body = _png(shown)
    display.run.shown += 1
    return {"image/png": body, "text/plain": words}


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=2)
    return buffer.getvalue()
