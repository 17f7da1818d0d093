"""A value as all that can be shown of it: text, and what its own methods make of it, by media type.

Loaded with the first value that is none of Python's plain ones, and with the first `display`.
"""

from __future__ import annotations

import binascii
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from belljar.guest import display as libraries
from belljar.guest.displays import MOST_TEXT, clip

Bundle = dict[str, bytes]
Metadata = dict[str, Any]

_MOST_PART_BYTES = 1024 * 1024
"""Of a text that is not plain: what is cut in the middle is no HTML and no JSON any more, so it is left out."""
_MOST_PICTURE_BYTES = 8 * 1024 * 1024
_MOST_METADATA_BYTES = 16 * 1024
_MOST_METADATA_DEPTH = 60
_MOST_PARTS = 16
_MOST_MIME = 100
_MOST_COLUMNS = 200
_MOST_COUNTED_CELLS = 2_000_000
"""Of a table in which what is missing is counted, that being work for each cell."""
_MOST_NAME = 200

TABLE = "application/vnd.belljar.table+json"
_METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}
_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml", "image/svg")
_BASE64_TYPES = ("image/", "audio/", "video/", "application/pdf")
"""As text these are base64."""
_NEVER = "_ipython_canary_method_should_not_exist_"
"""Who has this has everything, whatever it is asked for."""


def bundle(value: object) -> tuple[Bundle, Metadata] | None:
    """What there is to show of `value`; None where it has shown itself. Raises what its `__repr__` raises.

    Another method that raises is a line on stderr, and what the others give is shown.
    """
    if (shown := libraries.bundle(value)) is not None:
        return shown, {}
    if method := _method(value, "_ipython_display_"):
        try:
            method()
        except Exception as error:
            _note(f"_ipython_display_() of {_kind(value)} raised {type(error).__name__}: {error}")
        else:
            return None
    found: dict[str, Any] = {"text/plain": repr(value)}
    metadata: Metadata = {}
    if method := _method(value, "_repr_mimebundle_"):
        made = method
        given = _called(value, "_repr_mimebundle_", lambda: made(include=None, exclude=None))
        if isinstance(given, tuple) and len(given) == 2:
            given, more = given
            metadata.update(more if isinstance(more, dict) else {})
        if isinstance(given, dict):
            found.update(given)
    for name, mime in _METHODS.items():
        if mime in found or (mime == "image/jpeg" and _fits("image/png", found.get("image/png"))):
            continue  # of a picture that has both, the one without losses
        if method := _method(value, name):
            given = _called(value, name, method)
            if isinstance(given, tuple) and len(given) == 2:
                given, metadata[mime] = given
            if given is not None:
                found[mime] = given
    _add_table(value, found)
    return _bytes_of(found, _kind(value)), _sendable(metadata)


def raw_bundle(given: dict[str, Any]) -> Bundle:
    """A bundle that code has made itself."""
    return _bytes_of(given, "a bundle")


def _add_table(value: object, found: dict[str, Any]) -> None:
    """Of a table of pandas', what its columns are; a series as HTML, and a styled one as the text of its values."""
    pandas: Any = sys.modules.get("pandas")
    styler = getattr(sys.modules.get("pandas.io.formats.style"), "Styler", None)
    frame, series = getattr(pandas, "DataFrame", None), getattr(pandas, "Series", None)
    if not isinstance(frame, type) or not isinstance(series, type):
        return  # not there, or not imported to its end
    if isinstance(value, series):
        table = _called(value, "to_frame", value.to_frame)  # type: ignore[attr-defined]
        if table is not None and "text/html" not in found:
            html = _called(value, "_repr_html_", table._repr_html_)
            if html is not None:
                found["text/html"] = html
    elif isinstance(value, frame):
        table = value
    elif isinstance(styler, type) and isinstance(value, styler):
        table = _called(value, "data", lambda: value.data)  # type: ignore[attr-defined]
        if isinstance(table, frame):  # of its own it says where it lies in memory
            found["text/plain"] = _called(value, "data", table.__repr__) or found["text/plain"]
    else:
        return
    if table is not None:
        described = _called(value, "columns", lambda: _table(table))
        if described is not None:
            found[TABLE] = described


def _table(table: Any) -> dict[str, Any]:
    rows, width = table.shape
    shown = table.iloc[:, :_MOST_COLUMNS]
    nulls: list[int | None] = [None] * shown.shape[1]
    if rows * shown.shape[1] <= _MOST_COUNTED_CELLS:
        nulls = [int(count) for count in shown.isna().sum()]
    columns = [
        {"name": str(name)[:_MOST_NAME], "dtype": str(dtype)[:_MOST_NAME], "nulls": null}
        for name, dtype, null in zip(shown.columns, shown.dtypes, nulls, strict=True)
    ]
    return {
        "rows": rows,
        "columns": columns,
        "columns_left_out": width - len(columns),
        "index": {
            "names": [None if name is None else str(name)[:_MOST_NAME] for name in table.index.names],
            "dtype": str(table.index.dtype)[:_MOST_NAME],
        },
    }


def _method(value: object, name: str) -> Callable[..., Any] | None:
    """A method for showing that the value really has: a class has those of its instances, a mock has all."""
    if isinstance(value, type):
        return None
    try:
        method = getattr(value, name, None)
        return method if callable(method) and getattr(value, _NEVER, None) is None else None
    except Exception:
        return None  # a property that raises is no method


def _called(value: object, name: str, method: Callable[[], Any]) -> Any:
    try:
        return method()
    except NotImplementedError:
        return None
    except Exception as error:
        _note(f"{name}() of {_kind(value)} raised {type(error).__name__}: {error}")
        return None


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("__main__.")


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def _bytes_of(found: dict[str, Any], what: str) -> Bundle:
    """The bundle as it travels: bytes as they are, text as UTF-8. What is too large is left out, and said."""
    made: Bundle = {}
    for mime, given in found.items():
        if given is None:
            continue
        if not isinstance(mime, str) or not 0 < len(mime) <= _MOST_MIME or len(made) == _MOST_PARTS:
            _note(f"{what}: {str(mime)[:_MOST_MIME]!r} was left out: there may be {_MOST_PARTS} media types")
            continue
        try:
            data = _data(mime, given)
        except Exception as error:
            _note(f"{what}: {mime} was left out: {type(error).__name__}: {error}")
            continue
        most = _most(mime)
        if len(data) > most:
            _note(f"{what}: {mime} was left out: it has {len(data):,} bytes, and may have {most:,}")
            continue
        made[mime] = data
    return made


def _most(mime: str) -> int:
    if mime == "text/plain":
        return 4 * MOST_TEXT + 1024
    return _MOST_PICTURE_BYTES if mime.startswith(_BASE64_TYPES) and not _is_text(mime) else _MOST_PART_BYTES


def _fits(mime: str, given: object) -> bool:
    try:
        return given is not None and len(_data(mime, given)) <= _most(mime)
    except (TypeError, ValueError):
        return False


def _is_text(mime: str) -> bool:
    return mime.startswith(_TEXT_TYPES) or mime.endswith(("+json", "+xml"))


def _data(mime: str, given: Any) -> bytes:
    """Raises TypeError or ValueError where it cannot be of that type."""
    if mime == "text/plain":
        return clip(str(given))
    if not _is_text(mime):
        if isinstance(given, bytes | bytearray | memoryview):
            return bytes(given)
        if not isinstance(given, str):
            raise TypeError(f"bytes or text are expected, not {type(given).__name__}")
        if not mime.startswith(_BASE64_TYPES):
            return given.encode("utf-8", "backslashreplace")
        try:
            return binascii.a2b_base64("".join(given.split()), strict_mode=True)
        except binascii.Error as error:
            raise ValueError(f"not valid base64: {error}") from error
    if mime == "application/json" or mime.endswith("+json"):
        # One that was written already is not to become a string in quotes, but has to be JSON.
        parsed = json.loads(given) if isinstance(given, str) and mime == "application/json" else given
        return json.dumps(parsed, ensure_ascii=False, allow_nan=False, default=_plain).encode(
            "utf-8", "replace"
        )
    if isinstance(given, bytes | bytearray):
        return bytes(given).decode("utf-8", "replace").encode()
    if not isinstance(given, str):
        raise TypeError(f"text is expected, not {type(given).__name__}")
    return given.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    """What JSON has no form for, as numbers of numpy's."""
    if callable(item := getattr(value, "tolist", None)):
        return item()
    return str(value)


# -- display -----------------------------------------------------------------------------------------------


class DisplayHandle:
    """What was displayed under an id, to be replaced by something else later."""

    def __init__(self, display_id: str | None = None) -> None:
        self.display_id = display_id or new_id()

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"

    def display(self, value: object, **more: Any) -> None:
        """Show it anew."""
        display(value, display_id=self.display_id, **more)

    def update(self, value: object, **more: Any) -> None:
        """Show `value` in its place."""
        update_display(value, display_id=self.display_id, **more)


def new_id() -> str:
    return os.urandom(16).hex()


def display(
    *values: object,
    include: Any = None,
    exclude: Any = None,
    metadata: Metadata | None = None,
    transient: dict[str, Any] | None = None,
    display_id: str | bool | None = None,
    raw: bool = False,
    clear: bool = False,
    update: bool = False,
    **_: Any,
) -> DisplayHandle | None:
    """Show values, each as what it is: a table, a picture, a formula.

    `include` and `exclude` are media types. With a `display_id` (True for a new one) a handle comes back, by which
    what is shown can be replaced.
    """
    if clear:
        clear_output()
    if transient and display_id is None:
        display_id = transient.get("display_id")
    if display_id is True:
        display_id = new_id()
    if display_id is not None and (not isinstance(display_id, str) or not 0 < len(display_id) <= 100):
        raise TypeError("display_id: True, or a string of 1 to 100 characters")
    if update and not display_id:
        raise TypeError("display_id is required to replace what was displayed")
    for value in values:
        shown = (raw_bundle(_dict(value)), {}) if raw else bundle(value)
        if shown is None:
            continue
        data, own = shown
        data = _chosen(data, include, exclude)
        if data:
            kind = "update_display_data" if update else "display_data"
            libraries.emit(kind, data, _sendable(own | (metadata or {})), display_id or "")
    return DisplayHandle(display_id) if display_id else None


def update_display(value: object, *, display_id: str, **more: Any) -> None:
    """Show `value` in place of what was displayed with that id."""
    display(value, display_id=display_id, update=True, **more)


def clear_output(wait: bool = False) -> None:
    """Take back what the cell has shown so far; with `wait`, when something else is shown."""
    libraries.emit("clear_output", {}, {"wait": bool(wait)})


def publish(data: dict[str, Any], metadata: Metadata | None = None, **more: Any) -> None:
    """Show a bundle that is made already."""
    more.pop("source", None)
    display(data, raw=True, metadata=metadata, **more)


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("with raw=True a value is a dict of data by media type")
    return value


def _chosen(data: Bundle, include: Any, exclude: Any) -> Bundle:
    if include:
        data = {mime: part for mime, part in data.items() if mime in include}
    return {mime: part for mime, part in data.items() if mime not in exclude} if exclude else data


def _sendable(metadata: Metadata) -> Metadata:
    """Metadata as they travel: JSON within bounds, or nothing, which is said."""
    if not metadata:
        return {}
    reason = ""
    try:
        text = json.dumps(metadata, allow_nan=False)
        if len(text) <= _MOST_METADATA_BYTES and _is_within(made := json.loads(text), _MOST_METADATA_DEPTH):
            return dict(made)
    except (TypeError, ValueError, RecursionError) as error:
        reason = f" ({type(error).__name__}: {error})"
    _note(
        f"metadata of a display was left out: it has to be JSON of at most {_MOST_METADATA_BYTES:,} bytes and "
        f"{_MOST_METADATA_DEPTH} levels{reason}"
    )
    return {}


def _is_within(value: Any, depth: int) -> bool:
    """Whether JSON is nested so deep at most."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_within(part, depth - 1) for part in parts)
