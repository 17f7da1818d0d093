"""The magics themselves: functions of the shell and of what stands behind the magic's name."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from belljar.guest import display as figures
from belljar.guest import notebook
from belljar.layout import FILES

if TYPE_CHECKING:
    from belljar.guest.shell import Shell

Line = Callable[["Shell", str], Any]
Cell = Callable[["Shell", str, str], Any]

LINE_MAGICS: dict[str, Line] = {}
CELL_MAGICS: dict[str, Cell] = {}
_NO_NETWORK = "There is no network here, and the environment is read-only: nothing can be installed."
_MAY_BE = 500
"""Names of packages in an answer."""


class UsageError(Exception):
    """A magic cannot do what was asked."""

    __module__ = "builtins"  # a traceback has its name alone


def _line(*names: str) -> Callable[[Line], Line]:
    def register(magic: Line) -> Line:
        LINE_MAGICS.update(dict.fromkeys(names, magic))
        return magic

    return register


def _cell(*names: str) -> Callable[[Cell], Cell]:
    def register(magic: Cell) -> Cell:
        CELL_MAGICS.update(dict.fromkeys(names, magic))
        return magic

    return register


def _options(line: str, flags: str, valued: str) -> tuple[dict[str, str], str]:
    """The one-letter options at the beginning of `line`, and the rest as it is written. Raises UsageError."""
    found: dict[str, str] = {}
    rest = line.strip()
    while match := re.match(r"-(\w)(\S*)\s*(.*)", rest, re.DOTALL):
        letter, glued, behind = match.groups()
        if letter in valued:
            if glued:
                value, rest = glued, behind
            else:
                value, _, rest = behind.partition(" ")
            found[letter] = value
        elif letter in flags:
            found[letter], rest = "", f"-{glued} {behind}" if glued else behind
        else:
            raise UsageError(
                f"no option -{letter}; there are {', '.join('-' + one for one in flags + valued)}"
            )
        rest = rest.strip()
    return found, rest


def _number(options: dict[str, str], letter: str, default: int) -> int:
    value = options.get(letter, str(default))
    if not value.isdigit() or (letter == "r" and value == "0"):
        raise UsageError(f"-{letter} needs a number, not {value!r}")
    return int(value)


# -- time --------------------------------------------------------------------------------------------------


def _seconds(value: float, digits: int = 3) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("μs", 1e-6)):
        if value >= size:
            return f"{value / size:.{digits}g} {unit}"
    return f"{value / 1e-9:.{digits}g} ns"


def _span(value: float) -> str:
    if value < 60:
        return _seconds(value)
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}h ' if hours else ''}{minutes}min {seconds}s"


def _timed(shell: Shell, code: str, line: int, column: int) -> Any:
    before, started = os.times(), time.perf_counter()
    try:
        return shell.execute(code, line, column)
    finally:
        wall, after = time.perf_counter() - started, os.times()
        user, system = after.user - before.user, after.system - before.system
        print(f"CPU times: user {_span(user)}, sys: {_span(system)}, total: {_span(user + system)}")
        print(f"Wall time: {_span(wall)}")


@_line("time")
def _time(shell: Shell, line: str) -> Any:
    return _timed(shell, line, shell.place()[1], _column(shell, line))


@_cell("time")
def _time_cell(shell: Shell, line: str, cell: str) -> Any:
    if line:
        raise UsageError("%%time takes nothing on its own line; %time does")
    return _timed(shell, cell, shell.place()[1] + 1, 0)


def _column(shell: Shell, text: str) -> int:
    """Where `text` stands in the line of the cell that calls us."""
    import linecache

    return max(0, linecache.getline(*shell.place()).rfind(text))


class TimeitResult:
    """What %timeit has measured: seconds for one loop, of each run."""

    def __init__(self, loops: int, runs: list[float]) -> None:
        self.loops, self.repeat, self.all_runs = loops, len(runs), runs
        self.timings = [seconds / loops for seconds in runs]
        self.best, self.worst = min(self.timings), max(self.timings)
        self.average = sum(self.timings) / len(runs)
        self.stdev = (sum((one - self.average) ** 2 for one in self.timings) / len(runs)) ** 0.5

    def __str__(self) -> str:
        runs, loops = "run" if self.repeat == 1 else "runs", "loop" if self.loops == 1 else "loops"
        return (
            f"{_seconds(self.average)} ± {_seconds(self.stdev)} per loop "
            f"(mean ± std. dev. of {self.repeat} {runs}, {self.loops:,} {loops} each)"
        )

    def __repr__(self) -> str:
        return f"<TimeitResult : {self}>"


_TEMPLATE = """
def inner(_iterations, _clock):
    setup
    _began = _clock()
    for _ in _iterations:
        statement
    return _clock() - _began
"""


def _measured(
    shell: Shell, options: dict[str, str], setup: str, statement: str, line: int, column: int
) -> Any:
    from itertools import repeat as iterations

    filename = shell.place()[0]
    tree = ast.parse(_TEMPLATE)
    function: Any = tree.body[0]
    body = function.body
    loop = body[2]
    loop.body = _statements(statement, filename, line, column)
    body[:1] = _statements(setup, filename, max(1, line - 1), 0) if setup else []
    scope: dict[str, Any] = {}
    exec(
        compile(ast.fix_missing_locations(tree), filename, "exec"), shell.user_ns, scope
    )  # the user's own code
    inner = scope["inner"]
    clock = time.perf_counter
    loops, runs = _number(options, "n", 0), _number(options, "r", 7)
    if not loops:
        loops = 1
        while inner(iterations(None, loops), clock) < 0.2 and loops < 10**9:
            loops *= 10
    result = TimeitResult(loops, [inner(iterations(None, loops), clock) for _ in range(runs)])
    if "q" not in options:
        print(result)
    return result if "o" in options else None


def _statements(code: str, filename: str, line: int, column: int) -> list[ast.stmt]:
    """The syntax of code that stands at that place of a cell."""
    tree = notebook.parsed(code if code.strip() else "pass", filename, {}, line, column)
    return list(tree.body)


@_line("timeit")
def _timeit(shell: Shell, line: str) -> Any:
    options, statement = _options(line, "qotc", "nrp")
    if not statement:
        raise UsageError("%timeit: a statement is missing")
    return _measured(shell, options, "", statement, shell.place()[1], _column(shell, statement))


@_cell("timeit")
def _timeit_cell(shell: Shell, line: str, cell: str) -> Any:
    options, setup = _options(line, "qotc", "nrp")
    return _measured(shell, options, setup, cell, shell.place()[1] + 1, 0)


@_line("prun")
def _prun(shell: Shell, line: str) -> None:
    _profiled(shell, line, shell.place()[1], _column(shell, line))


@_cell("prun")
def _prun_cell(shell: Shell, line: str, cell: str) -> None:
    _profiled(shell, cell, shell.place()[1] + 1, 0)


def _profiled(shell: Shell, code: str, line: int, column: int) -> None:
    import cProfile
    import pstats

    profile = cProfile.Profile()
    try:
        profile.runcall(shell.execute, code, line, column)
    finally:
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(30)


# -- packages ----------------------------------------------------------------------------------------------


@_line("pip", "pip3", "uv")
def _pip(shell: Shell, line: str) -> None:
    from importlib import metadata

    words = shlex.split(line, comments=True)
    if words[:1] == ["pip"]:
        words = words[1:]  # uv pip
    command, *rest = words or [""]
    names = [word for word in rest if not word.startswith("-")]
    if command == "install":
        _installed(names)
    elif command in ("list", "freeze"):
        found = sorted({(dist.name, dist.version) for dist in metadata.distributions() if dist.name})
        for name, version in found:
            print(f"{name}=={version}")
    elif command == "show":
        for name in names:
            try:
                about = metadata.metadata(name)
            except metadata.PackageNotFoundError:
                print(f"WARNING: Package(s) not found: {name}", file=sys.stderr)
                continue
            for field in ("Name", "Version", "Summary", "Home-page", "License"):
                print(f"{field}: {about.json.get(field.lower().replace('-', '_'), '')}")
    elif command in ("--version", "-V"):
        print(f"There is no pip; Python {sys.version.split()[0]} in {sys.prefix}")
    else:
        raise UsageError(f"pip {command}: {_NO_NETWORK} `%pip list` says what is there")


def _installed(asked: list[str]) -> None:
    """Say of each package that is to be installed whether it is there. Raises UsageError where one is not."""
    from importlib import metadata

    missing = []
    for requirement in asked:
        name = re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0]
        try:
            print(
                f"Requirement already satisfied: {requirement} ({name} {metadata.version(name)} is installed)"
            )
        except (metadata.PackageNotFoundError, ValueError):
            missing.append(requirement)
    if missing:
        there = sorted({dist.name for dist in metadata.distributions() if dist.name}, key=str.lower)[:_MAY_BE]
        raise UsageError(f"{', '.join(missing)}: {_NO_NETWORK} Do it with what is there: {', '.join(there)}")
    if not asked:
        raise UsageError(f"pip install: {_NO_NETWORK}")


@_line("conda", "mamba")
def _conda(shell: Shell, line: str) -> None:
    _pip(shell, line)


# -- files and the environment -----------------------------------------------------------------------------


@_line("cd")
def _cd(shell: Shell, line: str) -> None:
    words = shell.expanded_path(line.removeprefix("-q ").strip() if line.startswith("-q") else line)
    here = os.getcwd()
    os.chdir(shell.user_ns.get("_oldcwd", here) if words == "-" else words or os.path.expanduser("~"))
    shell.user_ns["_oldcwd"] = here
    if not line.startswith("-q"):
        print(os.getcwd())


@_line("pwd")
def _pwd(shell: Shell, line: str) -> str:
    return os.getcwd()


def _command(name: str, command: str) -> None:
    @_line(name)
    def run(shell: Shell, line: str) -> None:
        shell.system(f"{command} {line}")


for _name, _said in {
    "ls": "ls -F",
    "ll": "ls -lF",
    "la": "ls -aF",
    "cat": "cat",
    "cp": "cp",
    "mv": "mv",
    "rm": "rm",
    "mkdir": "mkdir",
    "rmdir": "rmdir",
    "less": "cat",
    "more": "cat",
}.items():
    _command(_name, _said)


@_line("env", "set_env")
def _env(shell: Shell, line: str) -> Any:
    if not line.strip():
        return dict(os.environ)
    name, sign, value = line.partition("=") if "=" in line else line.partition(" ")
    name = name.strip()
    if not sign:
        if name not in os.environ:
            raise UsageError(f"Environment does not have key: {name}")
        return os.environ[name]
    os.environ[name] = shell.var_expand(value.strip())
    print(f"env: {name}={os.environ[name]}")
    return None


@_cell("writefile", "file")
def _writefile(shell: Shell, line: str, cell: str) -> None:
    options, name = _options(line, "a", "")
    if not name:
        raise UsageError("%%writefile: the name of a file is missing")
    path = shell.expanded_path(name)
    is_there = os.path.exists(path)
    with open(path, "a" if "a" in options else "w", encoding="utf-8") as file:
        file.write(cell if cell.endswith("\n") else f"{cell}\n")
    print(f"{'Appending to' if 'a' in options else 'Overwriting' if is_there else 'Writing'} {name}")


@_line("run")
def _run(shell: Shell, line: str) -> None:
    words = shlex.split(line)
    while words and words[0] in ("-i", "-n", "-e", "-t", "-p"):
        del words[0]
    if not words:
        raise UsageError("%run: the name of a program is missing")
    path, arguments = shell.expanded_path(words[0]), words
    if not os.path.exists(path) and os.path.exists(f"{path}.py"):
        path += ".py"
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    module = ModuleType("__main__")
    module.__file__ = path
    before = sys.argv
    sys.argv = arguments
    try:
        shell.guest.evaluate(code, module.__dict__)
    except SystemExit as error:
        if error.code:
            print(f"{path} ended with {error.code}", file=sys.stderr)
    finally:
        sys.argv = before
        made = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        shell.user_ns.update(made)


# -- shell commands ----------------------------------------------------------------------------------------


@_line("sx", "system", "sc")
def _sx(shell: Shell, line: str) -> Any:
    return shell.getoutput(line)


@_cell("!")
def _shell_cell(shell: Shell, line: str, cell: str) -> None:
    shell.system(f"{line}\n{cell}")


@_cell("!!", "sx", "system")
def _sx_cell(shell: Shell, line: str, cell: str) -> Any:
    return shell.getoutput(f"{line}\n{cell}")


def _script(shell: Shell, command: list[str], line: str, cell: str) -> None:
    """Run a program that reads the cell. Raises CalledProcessError where it fails, as in a notebook."""
    words = shlex.split(line)
    into: dict[str, str] = {}
    is_strict = True
    while words and words[0].startswith("--"):
        name, _, value = words.pop(0)[2:].partition("=")
        if name in ("out", "err"):
            into[name] = value or (words.pop(0) if words else "")
        elif name == "no-raise-error":
            is_strict = False
        elif name != "raise-error":
            raise UsageError(f"--{name}: there are --out NAME, --err NAME and --no-raise-error")
    with subprocess.Popen(
        [*command, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if "out" in into else None,
        stderr=subprocess.PIPE if "err" in into else None,
    ) as process:
        out, err = process.communicate((cell if cell.endswith("\n") else f"{cell}\n").encode())
    for name, data in (("out", out), ("err", err)):
        if name in into:
            shell.user_ns[into[name]] = data.decode("utf-8", "replace")
    shell.user_ns["_exit_code"] = process.returncode
    if process.returncode and is_strict:
        raise subprocess.CalledProcessError(process.returncode, " ".join([*command, *words]))


def _scripts(name: str, *command: str) -> None:
    @_cell(name)
    def run(shell: Shell, line: str, cell: str) -> None:
        _script(shell, list(command), line, cell)


_scripts("bash", "/bin/bash", "--norc")
_scripts("sh", "/bin/sh")
_scripts("perl", "perl")
_scripts("python", sys.executable)
_scripts("python3", sys.executable)
_scripts("script")


# -- what is shown -----------------------------------------------------------------------------------------


class Captured:
    """What a cell has printed and shown, after %%capture."""

    def __init__(self, stdout: str, stderr: str, outputs: list[Any]) -> None:
        self.stdout, self.stderr, self.outputs = stdout, stderr, outputs

    def __str__(self) -> str:
        return self.stdout

    def show(self) -> None:
        """Print and show it after all."""
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)
        for kind, *shown in self.outputs:
            figures.emit("display_data" if kind == "execute_result" else kind, *shown)

    __call__ = show


class capture_output:
    """A block whose output is gathered."""

    def __init__(self, stdout: bool = True, stderr: bool = True, display: bool = True) -> None:
        self._takes = stdout, stderr, display
        self._made = Captured("", "", [])

    def __enter__(self) -> Captured:
        import io

        from belljar.guest.cell import get_ipython

        self._displays = get_ipython().guest.displays
        self._before = sys.stdout, sys.stderr, self._displays.into
        if self._takes[0]:
            sys.stdout = io.StringIO()
        if self._takes[1]:
            sys.stderr = io.StringIO()
        if self._takes[2]:
            self._displays.into = self._made.outputs
        return self._made

    def __exit__(self, *_: object) -> None:
        try:
            if self._takes[2]:
                figures.show_figures()
        finally:
            taken = sys.stdout, sys.stderr
            sys.stdout, sys.stderr, self._displays.into = self._before
            for name, stream, is_taken in zip(("stdout", "stderr"), taken, self._takes[:2], strict=True):
                if is_taken:
                    setattr(self._made, name, stream.getvalue())  # type: ignore[union-attr]


@_cell("capture")
def _capture(shell: Shell, line: str, cell: str) -> None:
    words = line.split()
    names = [word for word in words if not word.startswith("-")]
    options = {word.removeprefix("--") for word in words if word.startswith("-")}
    if len(names) > 1 or options - {"no-stdout", "no-stderr", "no-display"}:
        raise UsageError("%%capture [--no-stdout] [--no-stderr] [--no-display] [NAME]")
    place = shell.place()
    with capture_output(*(f"no-{name}" not in options for name in ("stdout", "stderr", "display"))) as made:
        if names:
            shell.user_ns[names[0]] = made
        value = shell.execute(cell, place[1] + 1, 0, place[0])
        if value is not None:
            shell.guest.show(value)


def _shows(kind: str, *names: str) -> None:
    @_cell(*names)
    def show(shell: Shell, line: str, cell: str) -> None:
        from belljar.guest import ipython, rich

        rich.display(getattr(ipython, kind)(cell))


_shows("HTML", "html", "HTML")
_shows("Markdown", "markdown")
_shows("Latex", "latex")
_shows("SVG", "svg", "SVG")
_shows("Javascript", "javascript", "js")


@_line("matplotlib", "pylab")
def _matplotlib(shell: Shell, line: str) -> None:
    backend = line.split()[0] if line.split() else "inline"
    if backend not in ("inline", "agg", "Agg", "auto", "--list", "-l"):
        print(
            f"%matplotlib {backend}: figures come back as pictures here, as with `inline`.", file=sys.stderr
        )


@_line("config")
def _config(shell: Shell, line: str) -> None:
    if not re.match(
        r"(InlineBackend|IPCompleter|Completer|InteractiveShell|ZMQInteractiveShell)\b", line.strip()
    ):
        raise UsageError("%config: there is nothing to configure; figures come back as PNG")
    if found := re.search(r"ast_node_interactivity\s*=\s*(.+)", line):
        type(shell).ast_node_interactivity = found[1].strip("'\" ")


# -- variables ---------------------------------------------------------------------------------------------


@_line("who")
def _who(shell: Shell, line: str) -> None:
    names = shell.names(line)
    print("\t".join(names) if names else "Interactive namespace is empty.")


@_line("who_ls")
def _who_ls(shell: Shell, line: str) -> list[str]:
    return shell.names(line)


@_line("whos")
def _whos(shell: Shell, line: str) -> None:
    names = shell.names(line)
    if not names:
        print("Interactive namespace is empty.")
        return
    rows: list[tuple[str, str, str]] = [("Variable", "Type", "Data/Info")]
    for name in names:
        value = shell.user_ns[name]
        shape = getattr(value, "shape", None)
        about = f"shape {shape}" if isinstance(shape, tuple) else repr(value).replace("\n", " ")[:60]
        if isinstance(value, list | dict | tuple | set):
            about = f"n={len(value)}"
        rows.append((name, type(value).__name__, about))
    first, second = (max(len(row[column]) for row in rows) + 2 for column in (0, 1))
    for row in rows:
        print(f"{row[0]:<{first}}{row[1]:<{second}}{row[2]}")


@_line("reset")
def _reset(shell: Shell, line: str) -> None:
    for name in shell.names():
        del shell.user_ns[name]


@_line("xdel")
def _xdel(shell: Shell, line: str) -> None:
    shell.user_ns.pop(line.strip(), None)


@_line("history", "hist")
def _history(shell: Shell, line: str) -> None:
    import linecache

    for number in range(1, shell.execution_count):
        print("".join(linecache.getlines(f"<cell {number}>")), end="")


@_line("pinfo")
def _pinfo(shell: Shell, line: str) -> None:
    _described(shell, line, with_source=False)


@_line("pinfo2", "psource")
def _pinfo2(shell: Shell, line: str) -> None:
    _described(shell, line, with_source=True)


@_line("pdoc")
def _pdoc(shell: Shell, line: str) -> None:
    _described(shell, line, with_source=False)


def _described(shell: Shell, name: str, *, with_source: bool) -> None:
    """What `name?` tells."""
    import inspect

    if name.startswith("%"):
        magic: Any = shell.magics.get(name.lstrip("%")) or shell.cell_magics.get(name.lstrip("%"))
        print(inspect.getdoc(magic) or f"{name} is {'a magic' if magic else 'not known'}")
        return
    if "*" in name:
        scope, _, pattern = name.rpartition(".")
        names = dir(shell.found(scope)) if scope else list(shell.user_ns)
        from fnmatch import fnmatchcase

        print("\n".join(f"{scope}.{one}" if scope else one for one in names if fnmatchcase(one, pattern)))
        return
    value = shell.execute(name) if "[" in name else shell.found(name)
    facts: dict[str, str] = {}
    if callable(value):
        try:
            facts["Signature"] = f"{name}{inspect.signature(value)}"
        except (TypeError, ValueError):
            facts["Type"] = type(value).__name__  # a builtin that does not tell
    else:
        facts["Type"] = type(value).__name__
        facts["String form"] = str(value)[:1000]
        try:
            facts["Length"] = str(len(value))
        except Exception:
            facts.pop("Length", None)  # most have none
    source = None
    if with_source:
        try:
            source = inspect.getsource(value)
        except (OSError, TypeError):
            source = None  # of C code, say
    if source:
        facts["Source"] = f"\n{source.rstrip()}"
    else:
        facts["Docstring"] = inspect.getdoc(value) or "<no docstring>"
    try:
        facts["File"] = inspect.getfile(value)
    except (OSError, TypeError):
        facts["Type"] = type(value).__name__  # of a builtin, say
    for label, text in facts.items():
        print(f"{label}: {text}")


@_line("lsmagic")
def _lsmagic(shell: Shell, line: str) -> None:
    print("Line magics:", *sorted(f"%{name}" for name in shell.magics))
    print("Cell magics:", *sorted(f"%%{name}" for name in shell.cell_magics))


@_line("load_ext", "reload_ext")
def _load_ext(shell: Shell, line: str) -> None:
    name = line.strip()
    if name == "autoreload":
        return
    load = getattr(importlib.import_module(name), "load_ipython_extension", None)
    if load is None:
        raise UsageError(f"The module {name} is no extension of notebooks")
    load(shell)


class Autoreload:
    """%autoreload: modules of the working directory that have changed are imported anew before each cell."""

    def __init__(self) -> None:
        self.is_on = False
        self._times: dict[str, float] = {}

    def reload_changed(self, namespace: dict[str, Any]) -> None:
        if not self.is_on:
            return
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if not isinstance(path, str) or not path.startswith(f"{FILES}/") or name == "__main__":
                continue
            try:
                changed = os.stat(path).st_mtime_ns
            except OSError:
                continue  # it is gone: what was imported stays
            if self._times.setdefault(name, changed) != changed:
                self._times[name] = changed
                self._reload(name, module, namespace)

    def _reload(self, name: str, module: ModuleType, namespace: dict[str, Any]) -> None:
        old = dict(vars(module))
        # Two versions of one second have the same bytecode's name, and none is kept here; but its finder has a cache.
        importlib.invalidate_caches()
        try:
            new = vars(importlib.reload(module))
        except Exception as error:
            print(f"[autoreload of {name} failed: {type(error).__name__}: {error}]", file=sys.stderr)
            return
        for own, value in list(namespace.items()):
            # What was imported out of it by name.
            if own in old and old[own] is value and own in new and not own.startswith("__"):
                namespace[own] = new[own]


@_line("autoreload")
def _autoreload(shell: Shell, line: str) -> None:
    mode = (line.split() or ["now"])[0]
    if mode in ("0", "off"):
        shell.autoreload.is_on = False
        return
    shell.autoreload.is_on = True
    shell.autoreload.reload_changed(shell.user_ns)
    shell.autoreload.is_on = mode != "now"


def _nothing(*names: str) -> None:
    """Magics that set what there is none of here."""

    @_line(*names)
    def ignored(shell: Shell, line: str) -> None:
        return None


_nothing("autosave", "colors", "xmode", "unload_ext", "autoawait", "automagic", "gui", "pprint")


def _refused(why: str, *names: str) -> None:
    @_line(*names)
    def refuse(shell: Shell, line: str) -> None:
        raise UsageError(why)


_refused(
    "Nobody can type here, so no debugger is of use: print what there is to know, or catch the exception",
    "debug",
    "pdb",
)
_refused(
    "Nobody can edit here: write the code into a cell, or into a file with %%writefile", "edit", "ed", "load"
)
_refused("Files of the working directory stay: write with pickle, or keep the variable", "store")
