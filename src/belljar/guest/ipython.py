"""What cells import from IPython, for a runtime in which there is none: each module of it by its names.

Only what makes sense where a program shows things and nobody watches it. What else is asked for says what to do.
"""

from __future__ import annotations

import html
import json
import os
from types import ModuleType
from typing import Any

from belljar.guest import rich
from belljar.guest.cell import get_ipython
from belljar.guest.magics import UsageError
from belljar.guest.magics.showing import capture_output

_NO_SOUND = "sound cannot be played here. Write the file into the working directory: it is handed back with the results"


class DisplayObject:
    """Something to be shown, given as data, or as the path of a file."""

    mime = "text/plain"
    is_text = True

    def __init__(
        self,
        data: Any = None,
        url: str | None = None,
        filename: Any = None,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if url is not None:
            raise ValueError(
                f"{type(self).__name__}: there is no network here; give the data or a file, not a URL"
            )
        if filename is None and isinstance(data, os.PathLike):
            data, filename = None, data
        self.data, self.url, self.filename, self.metadata = data, url, filename, metadata or {}
        if filename is not None:
            self.reload()

    def reload(self) -> None:
        """Read the file anew."""
        with open(self.filename, "rb") as file:
            data = file.read()
        self.data = data.decode("utf-8", "replace") if self.is_text else data

    def __repr__(self) -> str:
        return f"<IPython.core.display.{type(self).__name__} object>"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        metadata = {self.mime: self.metadata} if self.metadata else {}
        return {self.mime: self._shown()}, metadata

    def _shown(self) -> Any:
        return (
            self.data.decode("utf-8", "replace")
            if self.is_text and isinstance(self.data, bytes)
            else self.data
        )


class TextDisplayObject(DisplayObject):
    """One that is text."""


class Pretty(TextDisplayObject):
    """Text as it stands."""

    def __repr__(self) -> str:
        return str(self.data)


class HTML(TextDisplayObject):
    mime = "text/html"


class Markdown(TextDisplayObject):
    mime = "text/markdown"


class Latex(TextDisplayObject):
    mime = "text/latex"


class Math(Latex):
    """A formula, with or without its dollar signs."""

    def _shown(self) -> Any:
        return f"$\\displaystyle {str(self.data).strip('$')}$"


class SVG(DisplayObject):
    mime = "image/svg+xml"


class Javascript(TextDisplayObject):
    mime = "application/javascript"


class JSON(DisplayObject):
    mime = "application/json"

    def reload(self) -> None:
        with open(self.filename, encoding="utf-8") as file:
            self.data = json.load(file)


class GeoJSON(JSON):
    mime = "application/geo+json"


class Code(TextDisplayObject):
    """A program, to be read."""

    def __init__(
        self, data: Any = None, url: str | None = None, filename: Any = None, language: str = "", **_: Any
    ) -> None:
        super().__init__(data, url, filename)
        self.language = language

    def __repr__(self) -> str:
        return str(self.data)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/markdown": f"```{self.language}\n{self._shown()}\n```"}, {}


_MAGIC = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"RIFF": "webp",
    b"<svg": "svg",
    b"<?xm": "svg",
}


class Image(DisplayObject):
    """A picture: its bytes, or the path of its file."""

    is_text = False

    def __init__(
        self,
        data: Any = None,
        url: str | None = None,
        filename: Any = None,
        format: str | None = None,
        embed: bool | None = None,
        width: int | None = None,
        height: int | None = None,
        retina: bool = False,
        unconfined: bool = False,
        metadata: dict[str, Any] | None = None,
        alt: str | None = None,
    ) -> None:
        if isinstance(data, str):
            if data.startswith(("http://", "https://")):
                data, url = None, data
            else:
                data, filename = None, data
        super().__init__(data, url, filename, metadata)
        if self.data is None:
            raise ValueError("Image: give its bytes as `data`, or the path of its file")
        head = bytes(self.data[:4])
        self.format = next(
            (kind for magic, kind in _MAGIC.items() if head.startswith(magic)), (format or "png").lower()
        )
        self.mime = "image/svg+xml" if self.format == "svg" else f"image/{self.format.replace('jpg', 'jpeg')}"
        given = {"width": width, "height": height, "unconfined": unconfined or None, "alt": alt}
        self.metadata = self.metadata | {name: value for name, value in given.items() if value is not None}


class IFrame:
    """Another page inside of the page."""

    def __init__(self, src: str, width: Any, height: Any, extras: Any = None, **params: Any) -> None:
        self.src, self.width, self.height, self.params = src, width, height, params

    def _repr_html_(self) -> str:
        size = f'width="{self.width}" height="{self.height}"'
        return f'<iframe {size} src="{html.escape(self.src)}" frameborder="0"></iframe>'


class FileLink:
    """A word on a file. All that is written to the working directory comes back."""

    def __init__(self, path: Any, url_prefix: str = "", result_html_prefix: str = "", **_: Any) -> None:
        self.path = str(os.fspath(path))

    def __repr__(self) -> str:
        return os.path.abspath(self.path)


class FileLinks(FileLink):
    """The same for a directory: what lies in it."""

    def __repr__(self) -> str:
        found = []
        for place, _, names in os.walk(self.path):
            found += [os.path.join(place, name) for name in names]
        return "\n".join(sorted(found))


class ProgressBar:
    """How far something is, of `total`."""

    def __init__(self, total: int) -> None:
        self.total, self._progress = total, 0
        self._handle: Any = None
        self.text_width = 60

    def __repr__(self) -> str:
        done = int(self.text_width * self._progress / self.total)
        return f"[{'=' * done}{' ' * (self.text_width - done)}] {self._progress}/{self.total}"

    def display(self) -> None:
        self._handle = rich.display(self, display_id=True)

    def update(self) -> None:
        if self._handle is not None:
            self._handle.update(self)

    @property
    def progress(self) -> int:
        return self._progress

    @progress.setter
    def progress(self, value: int) -> None:
        self._progress = value
        self.update()

    def __iter__(self) -> ProgressBar:
        self.display()
        self._progress = -1
        return self

    def __next__(self) -> int:
        if self._progress + 1 >= self.total:
            self.progress = self.total
            raise StopIteration
        self.progress = self._progress + 1
        return self._progress


class Audio:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__}: {_NO_SOUND}")


class Video(Audio):
    pass


class YouTubeVideo(Audio):
    pass


def set_matplotlib_formats(*_: Any, **__: Any) -> None:
    """Figures come back as PNG."""


def _showing(mime: str) -> Any:
    def show(*values: Any, raw: bool = False, metadata: Any = None, **_: Any) -> None:
        for value in values:
            if raw:
                rich.publish({mime: value}, metadata)
            else:
                rich.display(value, include=("text/plain", mime), metadata=metadata)

    return show


def _register(kind: str) -> Any:
    """As a decorator, bare or with the magic's name: makes a function a magic."""

    def register(given: Any) -> Any:
        if isinstance(given, str):

            def named(function: Any) -> Any:
                get_ipython().register_magic_function(function, kind, given)
                return function

            return named
        get_ipython().register_magic_function(given, kind)
        return given

    return register


def _mark(kind: str) -> Any:
    """As a decorator of a method: it is a magic once its class is registered."""

    def mark(given: Any) -> Any:
        def marked(function: Any, name: str | None = None) -> Any:
            magics = [*getattr(function, "_belljar_magics", ()), (kind, name or function.__name__)]
            function._belljar_magics = magics
            return function

        return (lambda function: marked(function, given)) if isinstance(given, str) else marked(given)

    return mark


class Magics:
    """What classes of magics derive from."""

    def __init__(self, shell: Any = None, **_: Any) -> None:
        self.shell = shell


def magics_class(kind: type) -> type:
    return kind


def _shell() -> dict[str, Any]:
    from belljar.guest.shell import Shell

    get_ipython()  # that it looks at what is set about its class
    return {"InteractiveShell": Shell, "InteractiveShellABC": Shell}


_OBJECTS = {
    kind.__name__: kind
    for kind in (
        DisplayObject, TextDisplayObject, Pretty, HTML, Markdown, Latex, Math, SVG, Javascript, JSON, GeoJSON, Code,
        Image, IFrame, FileLink, FileLinks, ProgressBar, Audio, Video, YouTubeVideo,
    )
}  # fmt: skip
_FUNCTIONS = {
    "display": rich.display,
    "update_display": rich.update_display,
    "clear_output": rich.clear_output,
    "publish_display_data": rich.publish,
    "DisplayHandle": rich.DisplayHandle,
}
_SHOWING = {
    f"display_{name}": _showing(mime)
    for name, mime in {
        "html": "text/html",
        "markdown": "text/markdown",
        "latex": "text/latex",
        "json": "application/json",
        "svg": "image/svg+xml",
        "png": "image/png",
        "jpeg": "image/jpeg",
        "javascript": "application/javascript",
        "pretty": "text/plain",
    }.items()
}
_DISPLAY = {**_OBJECTS, **_FUNCTIONS, **_SHOWING, "set_matplotlib_formats": set_matplotlib_formats}
_CAPTURE = {"capture_output": capture_output}

MODULES: dict[str, Any] = {
    "IPython": {
        "get_ipython": get_ipython,
        "version_info": (9, 0, 0, ""),
        "__version__": "9.0.0",
    },
    "IPython.display": _DISPLAY,
    "IPython.core": {},
    "IPython.core.display": _DISPLAY,
    "IPython.core.display_functions": _FUNCTIONS,
    "IPython.core.getipython": {"get_ipython": get_ipython},
    "IPython.core.interactiveshell": _shell,
    "IPython.core.error": {"UsageError": UsageError},
    "IPython.core.magic": {
        "Magics": Magics,
        "magics_class": magics_class,
        "line_magic": _mark("line"),
        "cell_magic": _mark("cell"),
        "line_cell_magic": _mark("line_cell"),
        "register_line_magic": _register("line"),
        "register_cell_magic": _register("cell"),
        "register_line_cell_magic": _register("line_cell"),
        "needs_local_scope": magics_class,
    },
    "IPython.utils": {},
    "IPython.utils.capture": _CAPTURE,
    "IPython.utils.io": _CAPTURE,
}
"""What each module has, or a function that says it."""


def fill(module: ModuleType) -> None:
    """Give a module that is being imported what it has."""
    found = MODULES[module.__name__]
    vars(module).update(found() if callable(found) else found)
    if module.__name__ == "IPython":
        __import__("IPython.display")
    name = module.__name__

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise AttributeError(
            f"{name}.{attribute} is not known here: IPython is not installed, and this stands in for what cells show"
        )

    vars(module)["__getattr__"] = missing
