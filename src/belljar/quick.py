"""The shortest way of `belljar run`: to a server that is warm, and through as little of Python as there is.

Where that cannot take a call, or its arguments are not of the plain kind, the whole command does, and says what is
wrong.
"""

from __future__ import annotations

import os
import sys

from belljar import __version__, exits, warm

_PIECE_BYTES = 256 * 1024
_HERE_SECONDS = 10
"""For the server to take the connection."""
_LAST_BYTES = 4096
_MISSING = "FileNotFoundError: [Errno 2] No such file or directory: "
_NO_MODULE = "ModuleNotFoundError: No module named '"
_SAID = 100
"""Names of files that are said."""
_FORMATS = ("png", "svg", "pdf")
OWN_KEEPER = "; this program has a keeper of its own"


class Refused(Exception):
    """What was asked for cannot be done, said in one sentence."""


class Asked:
    """One call of `belljar run`."""

    def __init__(self) -> None:
        self.source: str | None = None
        """Where the program is read from: a file, or `-`; None where it was given."""
        self.arguments: list[str] = []
        """Of the program, after its name."""
        self.code = ""
        self.has_stdin = False
        """The program gets what is on standard input."""
        self.stdin = b""
        self.seconds: str | None = None
        self.memory_mib: str | None = None
        self.output_mib: str | None = None
        self.runtime: str | None = None
        self.inputs: list[str] = []
        self.output_dir: str | None = None
        """None where none was asked for: then it is here."""
        self.as_json = False
        self.formats: list[str] = []
        self.dpi: str | None = None
        self.mode = ""
        """Whether a warm server is used; empty for what the environment says."""


def run(arguments: list[str]) -> bool:
    """Run a program in the warm server and end the process, where this can be done; else return, and say whether the
    whole command will need a keeper."""
    if not arguments or arguments[0] != "run":
        return False
    asked = parsed(arguments[1:])
    if asked is None:
        return False
    try:
        place, words = server(asked.mode, os.environ)
        if place is None or words:
            return True
        _make_ready(asked)
        connection = warm.reach(place, warm.RUNS)
    except (OSError, Refused, UnicodeError):
        return False
    read_standard_input(asked)
    os._exit(converse(connection, asked))


def hold_standard_streams() -> None:
    """Where one is closed, have nothing else take its number, here and in what is started: what is printed would go
    there."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def parsed(arguments: list[str]) -> Asked | None:
    """The call, where each argument is of a plain form and good; None for all that the whole command has to look at."""
    asked = Asked()
    code = None
    words: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, has_value, value = argument.partition("=")
        if argument == "-" or not argument.startswith("-"):
            words.append(argument)
        elif argument == "--":
            words += rest
        elif argument == "--json":
            asked.as_json = True
        elif argument == "--stdin":
            asked.has_stdin = True
        elif argument == "--no-server":
            asked.mode = "never"
        else:
            if not (has_value and name.startswith("--")):
                if (following := next(rest, None)) is None:
                    return None
                name, value = argument, following
            if name == "-c":
                code = value
            elif name in ("-f", "--file"):
                asked.inputs.append(value)
            elif name in ("-o", "--output-dir"):
                asked.output_dir = value
            elif name == "--timeout" and _is_number(value) and 0 < float(value) <= 3600:
                asked.seconds = value
            elif (
                name == "--memory"
                and value.isdecimal()
                and value.isascii()
                and len(value) < 8
                and 64 <= int(value) <= 1024 * 1024
            ):
                asked.memory_mib = value
            elif (
                name == "--max-output"
                and value.isdecimal()
                and value.isascii()
                and len(value) < 4
                and 1 <= int(value) <= 64
            ):
                asked.output_mib = value
            elif name == "--runtime" and value:
                asked.runtime = value
            elif name == "--chart-format" and value in _FORMATS:
                asked.formats.append(value)
            elif name == "--chart-dpi" and _is_number(value) and 10 <= float(value) <= 600:
                asked.dpi = value
            else:
                return None
    output_dir = f"{asked.output_dir or ''}/"
    if output_dir.startswith("./") or "//" in output_dir or "/./" in output_dir:
        return None  # what is saved is told by the plainest path
    if not take_words(asked, code, words) or (asked.has_stdin and asked.source == "-"):
        return None
    return asked


def take_words(asked: Asked, code: str | None, words: list[str]) -> bool:
    """Which program it is, and what its own arguments are, as Python tells them apart; False where there is none."""
    if code is not None:
        asked.code, asked.arguments = code, words
    elif words:
        asked.source, *asked.arguments = words
    return code is not None or bool(words)


def _make_ready(asked: Asked) -> None:
    """Read the program, where it is in a file, and look whether all is there. Raises OSError, Refused, UnicodeError
    for what is not as it should be."""
    if asked.source is not None and asked.source != "-":
        with open(asked.source, "rb") as file:
            body = file.read()
        asked.code = decoded(body, asked.source)
    check_inputs(asked.inputs)
    make_directory(asked.output_dir)


def decoded(body: bytes, name: str) -> str:
    """The text of a program, as Python reads it. Raises Refused."""
    try:
        if not (b"\r" in body or body.startswith(b"\xef\xbb\xbf") or b"coding" in _two_lines(body)):
            return body.decode()
        import io
        import tokenize  # which takes longer than all else, and few need it

        encoding, _ = tokenize.detect_encoding(io.BytesIO(body).readline)
        return io.TextIOWrapper(io.BytesIO(body), encoding).read()
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise Refused(f"{name} cannot be read: {error}") from error


def read_standard_input(asked: Asked) -> None:
    """The program, or the input of one, where it is to come from there."""
    if asked.source != "-" and not asked.has_stdin:
        return
    try:
        if sys.stdin is None:
            return
        if asked.source == "-":
            asked.code = decoded(sys.stdin.buffer.read(), "standard input")
        else:
            asked.stdin = sys.stdin.buffer.read()
    except Refused as error:
        _say(str(error))
        os._exit(exits.ENGINE_ERROR)
    except KeyboardInterrupt:
        _say("interrupted")
        os._exit(exits.INTERRUPTED)


def _two_lines(body: bytes) -> bytes:
    return b"".join(body.split(b"\n", 2)[:2])


def _is_number(text: str) -> bool:
    whole, _, part = text.partition(".")
    return len(text) < 20 and text.isascii() and whole.isdecimal() and (part == "" or part.isdecimal())


def check_inputs(paths) -> None:  # type: ignore[no-untyped-def]
    """Raises Refused where one is no file, or two have one name."""
    names: set[str] = set()
    for path in paths:
        if not os.path.isfile(path):
            is_folder = os.path.isdir(path)
            raise Refused(
                f"{path} is a directory, and --file puts files" if is_folder else f"there is no file {path}"
            )
        name = os.path.basename(path)
        if name in names:
            raise Refused(f"two of the files are called {name}")
        names.add(name)


def make_directory(path: str | None) -> None:
    """Or fail now, and not after the work is done. Raises OSError."""
    if path:
        os.makedirs(path, exist_ok=True)


def server(mode: str, environment) -> tuple[str | None, str]:  # type: ignore[no-untyped-def]
    """Where the server for a run listens, if there is one, and what is to be said: why one that is there is not used.

    Raises Refused where one has to be used, and cannot.
    """
    given = {name.upper(): value for name, value in environment.items()} if not mode else {}
    mode = mode or given.get("BELLJAR_WARM", "auto").lower()
    if mode == "never":
        return None, ""
    place = f"{warm.state_dir(environment)}/{warm.FOLDER}"
    record = warm.read_record(place)
    words = ""
    if record is None:
        words = "no server is up: `belljar up` starts one" if mode == "always" else ""
        place = ""
    elif record.get("version") != __version__:
        words = (
            f"the server that is up (pid {record.get('pid')}) is version {record.get('version')}, and this is "
            f"{__version__}: {warm.ending(record)}, then `belljar up`, and runs are warm again"
        )
    else:
        other = warm.differing(warm.of_runs(environment), record)
        if other:
            words = (
                f"the server that is up (pid {record.get('pid')}) has other settings ({', '.join(other)}): "
                f"{warm.ending(record)}, then `belljar up`, and it has these"
            )
    if words and mode == "always":
        raise Refused(words)
    if words:
        words += OWN_KEEPER
    return place or None, words


def not_reached(place: str, error: OSError) -> str:
    """What is to be said where nobody listens at the place of a server that has said that it is there."""
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return f"the server that was up has ended without a word ({place}/{warm.LOG}): `belljar up` starts another"
    return f"the server cannot be asked: {error.strerror or error}: `belljar status` says how it is"


def converse(connection, asked: Asked) -> int:  # type: ignore[no-untyped-def]
    """Have the server at the other end run the program; print and save what comes. Returns the exit code."""
    import _signal  # type: ignore[import-not-found] # `signal` is this and a great deal of enums

    is_running = False

    def interrupt(number: int, _: object) -> None:
        nonlocal is_running
        if not is_running:
            _say("interrupted; the program had not begun, or was interrupted already")
            os._exit(exits.INTERRUPTED)
        is_running = False  # a second signal does not wait
        connection.sendall(warm.frame(warm.INTERRUPT))

    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, interrupt)
    connection.settimeout(_HERE_SECONDS)
    printer, frames = Printer(asked), warm.Frames()
    said: list[tuple[bytes, bytes]] = []
    try:
        if asked.inputs:  # it may wait for a place before it takes them
            said = frames.feed(connection.recv(_PIECE_BYTES))
            connection.settimeout(None)
        try:
            _send(connection, asked)
        except ConnectionError:
            pass  # it has not waited for all of it, and has said why
        is_running = True
        while True:
            for kind, body in said:
                if kind == warm.HERE:
                    connection.settimeout(None)
                elif kind == warm.FAILED:
                    raise Refused(body.decode())
                elif printer.take(kind, body):
                    return printer.code
            data = connection.recv(_PIECE_BYTES)
            if not data:
                raise ConnectionResetError
            said = frames.feed(data)
    except Refused as error:
        _say(str(error))
    except TimeoutError:
        _say(
            "the server does not answer: `belljar status` says how it is, `belljar run --no-server` does without it"
        )
    except ConnectionError:
        _say("the server has ended before the program has; what it made is lost. `belljar up` starts another")
    except OSError as error:
        _say(f"{error.filename or 'output'}: {error.strerror or error}")
    return exits.ENGINE_ERROR


def _send(connection, asked: Asked) -> None:  # type: ignore[no-untyped-def]
    said = [warm.frame(warm.CODE, _bytes(asked.code))]
    if asked.stdin:
        said.append(warm.frame(warm.STDIN, asked.stdin))
    for kind, word in (
        (warm.SECONDS, asked.seconds),
        (warm.MEMORY_MIB, asked.memory_mib),
        (warm.OUTPUT_MIB, asked.output_mib),
        (warm.NAME, asked.source),
        (warm.RUNTIME, asked.runtime),
        (warm.DPI, asked.dpi),
    ):
        if word is not None:
            said.append(warm.frame(kind, _bytes(word)))
    said += [warm.frame(warm.ARGUMENT, _bytes(word)) for word in asked.arguments]
    said += [warm.frame(warm.FORMAT, form.encode()) for form in asked.formats]
    if asked.as_json:
        said.append(warm.frame(warm.AS_JSON))
    if os.isatty(2):
        said.append(warm.frame(warm.ON_TERMINAL))
    if asked.inputs:
        connection.sendall(b"".join(said))
        said = []
        for path in asked.inputs:
            connection.sendall(warm.frame(warm.INPUT, os.fsencode(os.path.basename(path))))
            with open(path, "rb", buffering=0) as file:
                while piece := file.read(_PIECE_BYTES):
                    connection.sendall(warm.frame(warm.PIECE, piece))
    said.append(warm.frame(warm.GO))
    connection.sendall(b"".join(said))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Printer:
    """Prints and saves what comes of a run, in frames: from a warm server, or from a keeper of one's own."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._directory = asked.output_dir or ""
        self._saved: list[str] = []
        self._file = -1
        self._said = b""
        """The end of what was written on standard error."""
        self._picture: list[bytes] | None = None
        """The name and the pieces of one that is to be shown."""
        self.code = exits.ENGINE_ERROR

    def take(self, kind: bytes, body: bytes) -> bool:
        """Returns whether it was the last. Raises OSError where a file cannot be saved."""
        if kind == warm.OUT:
            write(1, body)
        elif kind == warm.ERR:
            write(2, body)
            self._said = (self._said + body)[-_LAST_BYTES:]
        elif kind == warm.PIECE:
            if self._picture is not None:
                self._picture.append(body)
            else:
                _write_all(self._file, body)
        else:
            self._end_file()
            if kind == warm.FILE:
                self._begin(body.decode())
            elif kind == warm.PICTURE:
                if self._shows():
                    self._picture = [body]
                else:
                    self._begin(body.decode())
            elif kind == warm.EXIT:
                self.code = int(body)
                self._tell_saved()
                self._tell_missing()
                return True
        return False

    def _begin(self, name: str) -> None:
        from belljar import saving

        self._file, path = saving.make(self._directory, name)
        self._saved.append(path)

    def _end_file(self) -> None:
        if self._picture is not None:
            self._show(*self._picture)
            self._picture = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _shows(self) -> bool:
        """Whether pictures are shown, and not saved: where nobody has said where to, on a terminal."""
        asked = self._asked
        if asked.as_json or asked.formats or asked.output_dir is not None or not os.isatty(1):
            return False
        from belljar.client import showing

        return showing.way_here() is not None

    def _show(self, name: bytes, *pieces: bytes) -> None:
        from belljar.client import showing

        body = b"".join(pieces)
        drawn = showing.drawn(body, showing.way_here())
        if drawn is not None:
            write(1, drawn)
            return
        self._begin(name.decode())
        _write_all(self._file, body)

    def _tell_saved(self) -> None:
        for path in self._saved[:_SAID]:
            _say(f"saved {path}")
        if len(self._saved) > _SAID:
            _say(f"saved {len(self._saved) - _SAID:,} more below {self._directory or '.'}")

    def _tell_missing(self) -> None:
        """Where the program looked for a file or a module that lies here, how it gets it. Its own word is no advice on
        files that lie elsewhere, are hidden, or are of its own making, nor on names that a shell takes for more than a
        name."""
        if self.code != 1:
            return
        said = self._said.decode(errors="replace")
        _, found, rest = said.rpartition(_NO_MODULE)
        if found:
            self._tell_module(rest.partition("'")[0])
            return
        _, found, rest = said.rpartition(_MISSING)
        path = rest.partition("\n")[0].strip("'")
        is_plain = all(letter.isalnum() or letter in "._-/" for letter in path) and not any(
            part[:1] in ("", ".", "-") for part in path.split("/")
        )
        if not found or not is_plain or path in self._saved or not os.path.isfile(path):
            return
        name = os.path.basename(path)
        if name not in map(os.path.basename, self._asked.inputs):
            self._tell_absent(path, f", as {name}" * (name != path))
        elif name != path:
            _say(f"{path} lies in the jail as {name}")

    def _tell_module(self, name: str) -> None:
        """Python would have found it beside the program."""
        folder = os.path.dirname(self._asked.source or "")
        path = os.path.join(folder, f"{name}.py")
        package = os.path.join(folder, name)
        if not name.isidentifier() or path in self._asked.inputs or path in self._saved:
            return
        if os.path.isfile(path):
            self._tell_absent(path)
        elif os.path.isfile(f"{package}/__init__.py"):
            _say(
                f"{package} is a package here, and -f puts single files into the jail: put it into {name}.zip, which "
                f"-f puts there, and begin the program with `import sys; sys.path.insert(0, '{name}.zip')`"
            )
        else:
            _say(
                f"{name} is not installed in this runtime: `belljar runtime create NAME --requirements FILE` makes one "
                "that has it, and --runtime NAME takes it"
            )

    def _tell_absent(self, path: str, more: str = "") -> None:
        _say(f"{path} is here, and not in the jail: -f {path} puts it there{more}")


def write(fd: int, data: bytes) -> None:
    """Write all of it to a standard stream; where nobody reads any more, end as any program does."""
    try:
        _write_all(fd, data)
    except BrokenPipeError:
        os._exit(exits.BROKEN_PIPE)
    except OSError as error:
        _say(f"the output cannot be written: {error.strerror}")
        os._exit(exits.ENGINE_ERROR)


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:  # whoever shares the stream has made it so
            import select

            select.select((), (fd,), ())


def _say(message: str) -> None:
    try:
        _write_all(2, f"belljar: {message}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        os._exit(exits.ENGINE_ERROR)  # there is nobody to tell
