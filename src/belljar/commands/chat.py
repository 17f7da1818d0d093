"""`belljar chat`: a model that can run code, in a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from belljar import exits, private, saving, warm
from belljar.client import showing
from belljar.commands import Failure, asking, background
from belljar.commands.given import MODELS, UPSTREAM, Whole, settings_of
from belljar.commands.printing import AS_JSON, console, is_terminal, print_json, progress_of_bytes, say, size
from belljar.commands.sending import upload

if TYPE_CHECKING:
    import httpx2

    from belljar.commands.talking.conversation import Answer, Conversation
    from belljar.commands.talking.shown import Shown
    from belljar.settings import Settings

_NO_MODEL = (
    "no model is connected. Say which: {how} --upstream openai:http://127.0.0.1:11434 (Ollama, llama.cpp, vLLM), or "
    "--upstream anthropic:https://api.anthropic.com with ANTHROPIC_API_KEY"
)
_HELP = """\
/file PATH      send a file along with the next message
/save [FOLDER]  save the conversation, and the files that code has made
/model [NAME]   talk to another model; without a name, which there are
/reset          begin anew, without variables and files
/help           this
/exit           end, as Ctrl-D does
A line that ends in \\ goes on in the next one, and so does all between two lines of \"\"\".
Ctrl-C stops an answer."""
_HISTORY = "chat_history"
_REMEMBERED = 1000
_GOOD_ENDS = frozenset({"end_turn", "stop_sequence", "tool_use", "pause_turn"})


@click.command()
@click.argument("question", required=False)
@click.option("--model", metavar="NAME", help="Who answers [default: the first that the server lists].")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Send this file along with the first message. May be repeated.",
)
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where charts and files are saved, never over a file that is there [default: here].",
)
@click.option("--system", metavar="TEXT", help="What the model is told before all else.")
@click.option(
    "--max-tokens",
    type=Whole(1),
    default=8192,
    show_default=True,
    metavar="N",
    help="That an answer may have, in each of its turns.",
)
@UPSTREAM
@MODELS
@asking.of_server
@AS_JSON
def chat(
    question: str | None,
    model: str | None,
    files: tuple[Path, ...],
    output_dir: Path,
    system: str | None,
    max_tokens: int,
    upstream: str | None,
    models: Path | None,
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> None:
    """Talk to a model that can run code: what it writes, what its code prints, and its charts are shown as they come.

    With a QUESTION (`-`: standard input), or in a pipe, it answers once and ends. Without a server it has one of its
    own while it lasts. /help says what else there is.
    """
    from belljar.commands.talking.conversation import Conversation

    is_typed = question is None and sys.stdin.isatty()
    if not is_typed and question in (None, "-"):
        question = sys.stdin.read()
    if not is_typed and not (question or "").strip():
        raise Failure("nothing was asked: give a QUESTION, or type it on standard input")
    output_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        settings = settings_of(upstream=upstream, models=models.absolute() if models is not None else None)
        has_own = stack.enter_context(_server(settings, url))
        client = stack.enter_context(asking.asking(url, api_key))
        if (upstream is not None or models is not None) and not has_own:
            _check_upstream(settings, url)
        model = model or _first_model(client, settings, url)
        talk = _Talk(Conversation(client, model, max_tokens, system), client, output_dir, as_json=as_json)
        for path in files:
            talk.attach(path)
        if is_typed:
            talk.go_on(settings.state_dir / _HISTORY)
        else:
            sys.exit(talk.once(question or ""))


@contextmanager
def _server(settings: Settings, url: str | None) -> Iterator[bool]:
    """See to it that there is a server; yields whether it is one of our own, which ends with us. Raises Failure."""
    if url is not None or background.find(settings.state_dir) is not None:
        yield False
        return
    if settings.models is None and settings.upstream == "direct":
        raise Failure(_NO_MODEL.format(how="belljar chat"), exits.NO_SERVER)
    own = {"BELLJAR_UPSTREAM": settings.upstream}
    if settings.models is not None:
        own["BELLJAR_MODELS"] = str(settings.models)
    with ExitStack() as stack:
        with background.turn(settings.state_dir) as place:
            waits = (
                console(sys.stderr).status("starting a server") if is_terminal(sys.stderr) else ExitStack()
            )
            with waits:
                arguments = ["--by", "chat", "--ends-with-stdin"]
                process = stack.enter_context(background.starting(place, own, arguments, ends_with_us=True))
        yield True
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def _check_upstream(settings: Settings, url: str | None) -> None:
    """Raises Failure where the server that is asked has other models than those that were asked for."""
    if url is not None:
        raise Failure(
            "--upstream and --models are for a server on this machine, and --url names one that has its own"
        )
    from belljar.gateway.owner import asked_of  # its imports are for this case alone

    server = background.find(settings.state_dir)
    facts = server.facts if server is not None else None
    if server is None or facts is None:
        return  # it is starting or ending: whoever asks it is told so
    if any(asked_of(settings)[name] != facts.get(name) for name in ("asked.upstream", "asked.models")):
        raise Failure(
            f"a server is up (pid {server.pid}), and has not these models: {warm.ending(facts)} first, or ask it "
            "without --upstream and --models"
        )


def _first_model(client: httpx2.Client, settings: Settings, url: str | None) -> str:
    """Raises Failure where there is none."""
    health = asking.ask(client, "GET", "/health")
    if health["upstream"] == "direct":
        raise Failure(_NO_MODEL.format(how=_another(settings, url)), exits.NO_SERVER)
    listed = asking.ask(client, "GET", "/v1/models", params={"limit": 1})["data"]
    if not listed:
        raise Failure("the server lists no models: name one, --model NAME")
    return str(listed[0]["id"])


def _another(settings: Settings, url: str | None) -> str:
    """How the server that was asked is started with other options."""
    server = background.find(settings.state_dir) if url is None else None
    if server is None or server.facts is None:
        return "belljar serve"
    return f"{warm.ending(server.facts)}, then belljar {server.facts['by']}"


class _Talk:
    """Takes what is typed, and shows what is answered."""

    def __init__(
        self, conversation: Conversation, client: httpx2.Client, output_dir: Path, *, as_json: bool
    ) -> None:
        self._conversation = conversation
        self._client = client
        self._output_dir = output_dir
        self._as_json = as_json
        self._is_rich = is_terminal(sys.stdout) and not as_json
        self._said: list[tuple[str, str]] = []
        """Who, and what, for a file."""

    def once(self, question: str) -> int:
        """Returns the exit code."""
        answer = self._ask(question)
        self._keep(answer, all_files=True)
        reason = answer.message.get("stop_reason")
        if reason in _GOOD_ENDS:
            return exits.DONE
        say(f"the answer is not whole: {reason}")
        return exits.FOUND

    def go_on(self, history: Path) -> None:
        """Until it is ended."""
        say(f"{self._conversation.model}; /help says what there is, Ctrl-D ends")
        with _remembering(history):
            while True:
                try:
                    text = _typed().strip()
                except EOFError:
                    click.echo(err=True)
                    return
                except KeyboardInterrupt:
                    click.echo(err=True)
                    continue
                if text in ("/exit", "/quit"):
                    return
                try:
                    if text.startswith("/") and "\n" not in text:
                        self._command(*text.partition(" ")[::2])
                    elif text:
                        self._keep(self._ask(text), all_files=False)
                except KeyboardInterrupt:
                    say("stopped; what was said before goes on")
                except Failure as error:
                    say(str(error))
                except OSError as error:
                    say(f"{error.filename or 'output'}: {error.strerror or error}")

    def attach(self, path: Path) -> None:
        """Raises Failure."""
        with progress_of_bytes() as progress:
            self._conversation.attach(path, upload(self._client, path, path.name, progress))

    def _ask(self, text: str) -> Answer:
        from belljar.commands.talking.conversation import Answer

        answer = Answer()
        shown = self._shown()
        self._said.append(("You", text))
        try:
            with contextlib.closing(self._conversation.say(text, answer)) as events:  # type: ignore[type-var]
                for event in events:
                    if shown is not None:
                        shown.take(event)
        finally:
            if shown is not None:
                shown.end()
            self._said.append((self._conversation.model, answer.text))
        return answer

    def _shown(self) -> Shown | None:
        from belljar.commands.talking import shown

        if self._as_json:
            return None
        return shown.Rich(console(sys.stdout)) if self._is_rich else shown.Plain()

    def _keep(self, answer: Answer, *, all_files: bool) -> None:
        """Show the pictures that code has made, or save them; save the other files, or say that they are there."""
        way = showing.way_here() if self._is_rich and answer.file_ids else None
        kept: list[dict[str, Any]] = []
        for file_id in answer.file_ids:
            name = self._conversation.name_of(file_id)
            self._conversation.made.append((file_id, name))
            is_picture = name.endswith((".png", ".jpg", ".jpeg", ".gif", ".webp"))
            saved: str | None = None
            if is_picture or all_files:
                body = self._conversation.content_of(file_id)
                drawing = showing.drawn(body, way) if is_picture else None
                if drawing is not None:
                    sys.stdout.flush()
                    sys.stdout.buffer.write(drawing)
                    sys.stdout.flush()
                else:
                    saved = self._save(self._output_dir, name, body)
            elif not self._as_json:
                say(f"the code has made {showing.harmless(name)}; /save saves it")
            kept.append({"file_id": file_id, "filename": name, "saved": saved})
        if self._as_json:
            print_json({"message": answer.message, "files": kept}, is_line=True)

    def _save(self, directory: Path, name: str, body: bytes) -> str:
        fd, path = saving.make(str(directory), name)
        with open(fd, "wb") as file:
            file.write(body)
        say(f"saved {path}")
        return path

    def _command(self, name: str, rest: str) -> None:
        rest = rest.strip()
        conversation = self._conversation
        if name == "/help":
            click.echo(_HELP, err=True)
        elif name == "/reset":
            container = conversation.container
            conversation.forget()
            self._said.clear()
            if container is not None:
                with contextlib.suppress(Failure):  # it has expired meanwhile
                    asking.ask(self._client, "DELETE", f"/v1/containers/{container}")
            say("a new conversation")
        elif name == "/model" and rest:
            conversation.model = rest
            say(f"{rest} answers from now on")
        elif name == "/model":
            for one in asking.pages(self._client, "/v1/models", {"limit": 100}):
                click.echo(f"{'*' if one['id'] == conversation.model else ' '} {one['id']}", err=True)
        elif name == "/file" and rest:
            path = Path(rest).expanduser()
            self.attach(path)
            say(f"{path.name} ({size(path.stat().st_size)}) goes with the next message")
        elif name == "/save":
            self._save_all(Path(rest).expanduser() if rest else self._output_dir)
        else:
            say(
                f"there is no command {name}{' without a path' if name == '/file' else ''}; "
                "/help has those that there are"
            )

    def _save_all(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        text = "\n".join(f"## {who}\n\n{words.strip()}\n" for who, words in self._said)
        self._save(directory, "conversation.md", text.encode("utf-8", "replace"))
        for file_id, name in self._conversation.made:
            self._save(directory, name, self._conversation.content_of(file_id))


def _typed() -> str:
    """What is typed, of more than one line where it says so. Raises EOFError, KeyboardInterrupt."""
    text = input("> ")
    while text.endswith("\\"):
        text = f"{text[:-1]}\n{input('… ')}"
    if text.strip() != '"""':
        return text
    lines: list[str] = []
    while (line := input("… ")).strip() != '"""':
        lines.append(line)
    return "\n".join(lines)


@contextmanager
def _remembering(history: Path) -> Iterator[None]:
    """Arrow keys, and what was typed the last time, where Python has readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_REMEMBERED)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # what was typed is then not remembered
            private.make_file(history)
            readline.write_history_file(history)
