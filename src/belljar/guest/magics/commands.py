"""Files, the environment, and other programs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from belljar.guest import bash
from belljar.guest.magics import Cell, Line, UsageError, options_of

if TYPE_CHECKING:
    from belljar.guest.shell import Shell


def _cd(shell: Shell, line: str) -> None:
    words = shell.expanded_path(line.removeprefix("-q ").strip() if line.startswith("-q") else line)
    here = os.getcwd()
    os.chdir(shell.user_ns.get("_oldcwd", here) if words == "-" else words or os.path.expanduser("~"))
    shell.user_ns["_oldcwd"] = here
    if not line.startswith("-q"):
        print(os.getcwd())


def _pwd(shell: Shell, line: str) -> str:
    return os.getcwd()


def _command(command: str) -> Line:
    def run(shell: Shell, line: str) -> None:
        shell.system(f"{command} {line}")

    return run


_COMMANDS = {
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
}


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


def _writefile(shell: Shell, line: str, cell: str) -> None:
    options, name = options_of(line, "a", "")
    if not name:
        raise UsageError("%%writefile: the name of a file is missing")
    path = shell.expanded_path(name)
    is_there = os.path.exists(path)
    with open(path, "a" if "a" in options else "w", encoding="utf-8") as file:
        file.write(cell if cell.endswith("\n") else f"{cell}\n")
    print(f"{'Appending to' if 'a' in options else 'Overwriting' if is_there else 'Writing'} {name}")


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


def _sx(shell: Shell, line: str) -> Any:
    return shell.getoutput(line)


def _shell_cell(shell: Shell, line: str, cell: str) -> None:
    shell.system(f"{line}\n{cell}")


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
    # Not its own descriptor, where somebody has put himself there: %%capture, say.
    takes_out = "out" in into or sys.stdout is not sys.__stdout__
    takes_err = "err" in into or sys.stderr is not sys.__stderr__
    with subprocess.Popen(
        [*command, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if takes_out else None,
        stderr=subprocess.PIPE if takes_err else None,
    ) as process:
        out, err = process.communicate((cell if cell.endswith("\n") else f"{cell}\n").encode())
    for name, data, stream in (("out", out, sys.stdout), ("err", err, sys.stderr)):
        text = (data or b"").decode("utf-8", "replace")
        if name in into:
            shell.user_ns[into[name]] = text
        elif text:
            stream.write(text)
    shell.user_ns["_exit_code"] = process.returncode
    if process.returncode and is_strict:
        raise subprocess.CalledProcessError(process.returncode, " ".join([*command, *words]))


def _script_of(*command: str) -> Cell:
    def run(shell: Shell, line: str, cell: str) -> None:
        _script(shell, list(command), line, cell)

    return run


_SCRIPTS = {
    "bash": _script_of(*bash.COMMAND),
    "sh": _script_of("/bin/sh"),
    "perl": _script_of("perl"),
    "python": _script_of(sys.executable),
    "python3": _script_of(sys.executable),
    "script": _script_of(),
}


LINES: dict[str, Line] = {
    "cd": _cd,
    "pwd": _pwd,
    "env": _env,
    "set_env": _env,
    "run": _run,
    "sx": _sx,
    "system": _sx,
    "sc": _sx,
    **{name: _command(command) for name, command in _COMMANDS.items()},
}
CELLS: dict[str, Cell] = {
    "writefile": _writefile,
    "file": _writefile,
    "!": _shell_cell,
    "!!": _sx_cell,
    "sx": _sx_cell,
    "system": _sx_cell,
    **_SCRIPTS,
}
