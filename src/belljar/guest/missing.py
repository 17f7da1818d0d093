"""A module that is not there: what is installed instead, and by which name it is imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Any

from belljar.guest.alike import NO_NETWORK, close, listed

_INSTEAD: dict[str, tuple[str, ...]] = {
    "cv2": ("PIL", "skimage", "scipy.ndimage"),
    "skimage": ("PIL", "scipy.ndimage"),
    "imageio": ("PIL",),
    "polars": ("pandas", "pyarrow"),
    "dask": ("pandas", "pyarrow"),
    "modin": ("pandas",),
    "duckdb": ("sqlite3", "pandas"),
    "sqlalchemy": ("sqlite3",),
    "psycopg2": ("sqlite3",),
    "mysql": ("sqlite3",),
    "pymysql": ("sqlite3",),
    "xlrd": ("openpyxl", "pandas"),
    "xlwt": ("openpyxl", "xlsxwriter"),
    "pyxlsb": ("openpyxl",),
    "fastparquet": ("pyarrow",),
    "PyPDF2": ("pypdf",),
    "PyPDF4": ("pypdf",),
    "fitz": ("pypdf", "pdfplumber", "pypdfium2"),
    "pymupdf": ("pypdf", "pdfplumber", "pypdfium2"),
    "camelot": ("pdfplumber",),
    "tabula": ("pdfplumber",),
    "pdf2image": ("pypdfium2",),
    "fpdf": ("reportlab",),
    "weasyprint": ("reportlab",),
    "docx2txt": ("docx",),
    "torch": ("sklearn", "numpy"),
    "tensorflow": ("sklearn", "numpy"),
    "keras": ("sklearn", "numpy"),
    "jax": ("numpy", "scipy"),
    "xgboost": ("sklearn.ensemble",),
    "lightgbm": ("sklearn.ensemble",),
    "catboost": ("sklearn.ensemble",),
    "prophet": ("statsmodels.tsa",),
    "pmdarima": ("statsmodels.tsa",),
    "nltk": ("sklearn.feature_extraction.text", "re"),
    "spacy": ("sklearn.feature_extraction.text", "re"),
    "transformers": ("sklearn",),
    "bokeh": ("plotly", "matplotlib"),
    "altair": ("plotly", "matplotlib"),
    "plotnine": ("seaborn", "matplotlib"),
    "pygal": ("matplotlib",),
    "wordcloud": ("matplotlib",),
    "geopandas": ("pandas", "matplotlib"),
    "folium": ("plotly",),
    "numba": ("numpy",),
    "cupy": ("numpy",),
    "ujson": ("json",),
    "orjson": ("json",),
    "simplejson": ("json",),
    "toml": ("tomllib",),
    "ruamel": ("yaml",),
    "pendulum": ("datetime", "dateutil"),
    "arrow": ("datetime", "dateutil"),
    "html5lib": ("lxml", "bs4"),
    "termcolor": (),
    "rich": ("tabulate",),
    "prettytable": ("tabulate",),
    "igraph": ("networkx",),
    "pulp": ("scipy.optimize",),
    "cvxpy": ("scipy.optimize",),
    "ortools": ("scipy.optimize",),
}
"""For modules that programs ask for: those that can do much of the same, if they are installed."""
_OF_NETWORK = frozenset(
    "requests httpx httpx2 aiohttp urllib3 websockets websocket selenium playwright scrapy boto3 paramiko yfinance "
    "openai anthropic wikipedia feedparser".split()
)
_OF_INSTALLERS = frozenset({"pip", "conda", "uv", "ensurepip"})
_INSTALL = re.compile(r"\b(pip[\d.]*|conda|mamba|uv|apt|apt-get)\s(?:\S+\s)*?install\s+(.*)")
_MAX_WORDS = 50
_MAX_COMMAND = 1000
"""Characters. A word of a list may have spaces, and so be any number of words."""
_MAX_TO_INSTALL = 5
_WITH_WHAT_IS_THERE = f"{NO_NETWORK} Use what lies in the working directory and what is installed."
_MAX_ENTRIES = 5000


def module(error: Any) -> str | None:
    """A hint for an ImportError."""
    name, text = error.name, str(error.args[0]) if error.args and type(error.args[0]) is str else ""
    optional = re.search(r"[Mm]issing optional dependency '([\w.-]+)'", text)
    if optional is not None:
        name = optional[1]
    if type(name) is not str or not name:
        return None
    top, _, below = name.partition(".")
    if optional is None and not issubclass(type(error), ModuleNotFoundError):
        return _name_in(text, name)
    there = importable()
    if below and top in there:
        return _below(name)
    if path := _in_a_folder(top):
        folder = os.path.dirname(path)
        return f"{path!r} lies in a folder: sys.path.insert(0, {folder!r}), and import it then."
    if owner := _imported_as(top):
        return f"What is installed as {top!r} is imported as {listed(owner, 3)}. {_not_there(top)}"
    if top in _OF_NETWORK or top in _OF_INSTALLERS:
        return _WITH_WHAT_IS_THERE
    return f"{_other_than(top, there)}{_not_there(top)}"


def to_install(command: Any) -> str | None:
    """A hint for a program that ended with an error: where it was to install something."""
    words = command.split() if type(command) is str else command if type(command) in (list, tuple) else []
    text = " ".join(word for word in words[:_MAX_WORDS] if type(word) is str)
    found = _INSTALL.search(text[:_MAX_COMMAND])
    if found is None:
        return None
    said = []
    there = importable()
    for word in [word for word in found[2].split() if not word.startswith("-")][:_MAX_TO_INSTALL]:
        name = re.split(r"[^\w.-]", word, maxsplit=1)[0]
        if name in there:
            said.append(f"{name!r} is installed.")
        elif owner := _imported_as(name):
            said.append(f"{name!r} is installed, and imported as {listed(owner, 3)}.")
        elif name:
            said.append(f"{_other_than(name, there)}{name!r} is not installed.")
    return " ".join([*said, _WITH_WHAT_IS_THERE])


def _other_than(name: str, there: list[str]) -> str:
    """What could be used in its place."""
    if instead := [other for other in _INSTEAD.get(name, ()) if other.partition(".")[0] in there]:
        return f"Installed, and can do much of the same: {', '.join(instead)}. "
    if near := close(name, there):
        return f"Installed by a close name: {', '.join(near)}. "
    return ""


def _not_there(name: str) -> str:
    return f"{name!r} is not installed. {NO_NETWORK}"


def importable() -> list[str]:
    """What can be imported, by the first names."""
    found = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    for folder in sys.path:
        found |= set(_modules_in(folder))
    return sorted(found)


def _modules_in(folder: str) -> Iterable[str]:
    try:
        with os.scandir(folder or ".") as entries:
            for count, entry in enumerate(entries):
                if count == _MAX_ENTRIES:
                    return
                name, dot, ending = entry.name.partition(".")
                if not name.isidentifier() or name.startswith("_"):
                    continue
                is_package = not dot and entry.is_dir() and folder not in ("", ".")
                if is_package or ending == "py" or (ending.endswith("so") and dot):
                    yield name
    except OSError:
        return


def _below(name: str) -> str:
    """A module within a package that is there."""
    package, _, last = name.rpartition(".")
    while package not in sys.modules and "." in package:
        package, _, last = package.rpartition(".")
    owner = sys.modules.get(package)
    names = [other for folder in getattr(owner, "__path__", ()) for other in _modules_in(folder)]
    names += [other for other in vars(owner) if not other.startswith("_")] if owner is not None else []
    near = close(last, names)
    said = f" Close names: {', '.join(near)}." if near else ""
    return f"{package!r} is installed{_version(package)}, and has no module {last!r}.{said} {NO_NETWORK}"


def _name_in(text: str, name: str) -> str | None:
    """`from module import name`, where the module is there."""
    found = re.search(r"cannot import name '([^']+)'", text)
    owner = sys.modules.get(name)
    if found is None or owner is None:
        return None
    near = close(found[1], [other for other in vars(owner) if not other.startswith("_")])
    said = f" Close names: {', '.join(near)}." if near else ""
    path = getattr(owner, "__file__", None) or ""
    if os.path.dirname(os.path.abspath(path)) == os.getcwd() and name in importable():
        said += f" The module is the file {os.path.basename(path)!r} of the working directory."
    return f"{name!r} is installed{_version(name)}, and has no {found[1]!r}.{said}"


def _version(name: str) -> str:
    version = getattr(sys.modules.get(name.partition(".")[0]), "__version__", None)
    return f" ({version[:40]})" if type(version) is str else ""


def _imported_as(name: str) -> list[str]:
    """Of what is installed as `name`: the names to import it by."""
    import importlib.metadata as metadata

    try:
        owner = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return []
    if text := owner.read_text("top_level.txt"):
        found = text.split()
    else:
        found = sorted(
            {path.parts[0].removesuffix(".py") for path in owner.files or () if path.suffix == ".py"}
        )
    return [other for other in found if other.isidentifier() and not other.startswith("_") and other != name]


def _in_a_folder(top: str) -> str | None:
    """A file of that name in a folder of the working directory."""
    left = _MAX_ENTRIES
    for folder, folders, names in os.walk("."):
        left -= len(folders) + len(names)
        if left < 0:
            return None
        if f"{top}.py" in names and folder != ".":
            return os.path.relpath(os.path.join(folder, f"{top}.py"))
    return None
