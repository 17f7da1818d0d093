"""`belljar chat`, with a server in the background whose model plays turns from a script."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typed import SMALL, Command, Terminal

from belljar.commands.talking import shown
from belljar.commands.talking.conversation import Answer, Conversation
from belljar.commands.talking.typed import code_in
from belljar.gateway.turn import events_of

SCRIPT = r'''
[[conversation]]
when = "draw"
[[conversation.turn]]
text = "First **this**.\n\n"
code = """
import matplotlib.pyplot as plt
plt.plot([1, 2, 3]); plt.show()
open('dáta, 1.csv', 'w').write('a,b')
print('drawn')
"""
[[conversation.turn]]
text = "Done: {{ stdout }}"

[[conversation]]
when = "remember"
[[conversation.turn]]
code = "x = 41"
[[conversation.turn]]
text = "kept"

[[conversation]]
when = "recall"
[[conversation.turn]]
code = "print(x + 1)"
[[conversation.turn]]
text = "It is {{ stdout }}"

[[conversation]]
when = "wait"
[[conversation.turn]]
code = """
import time
print('begun', flush=True)
time.sleep(600)
"""
[[conversation.turn]]
text = "slept"

[[conversation]]
when = "look"
[[conversation.turn]]
code = "import os; print(sorted(os.listdir()))"
[[conversation.turn]]
text = "{{ stdout }}"

[[conversation]]
when = "fail"
[[conversation.turn]]
code = "1 / 0"
[[conversation.turn]]
text = "It failed."
'''


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a server with this model."""
    state = tmp_path_factory.mktemp("talking")
    (state / "script.toml").write_text(SCRIPT)
    command = Command(state, state)
    seen = command("up", "--upstream", f"scripted:{state / 'script.toml'}", **SMALL)
    assert seen.returncode == 0, seen.stderr
    yield state
    command("down")


@pytest.fixture
def belljar(talking: Path, tmp_path: Path) -> Command:
    return Command(talking, tmp_path)


def test_a_question_in_a_pipe(belljar: Command) -> None:
    seen = belljar("chat", stdin="draw\n")
    assert seen.returncode == 0
    assert seen.stdout == "First **this**.\n\n\nDone: drawn\n"
    assert ">>> plt.plot([1, 2, 3]); plt.show()\n" in seen.stderr
    assert "\ndrawn\n" in seen.stderr
    made = {path.name for path in belljar.cwd.iterdir()}
    assert made == {"figure-1.png", "dáta, 1.csv"}
    assert "belljar: saved figure-1.png" in seen.stderr


def test_a_question_as_a_document(belljar: Command) -> None:
    seen = belljar("chat", "--json", "draw", "-o", "out")
    assert seen.returncode == 0
    (line,) = seen.stdout.splitlines()
    found = json.loads(line)
    kinds = [block["type"] for block in found["message"]["content"]]
    assert kinds == ["text", "server_tool_use", "code_execution_tool_result", "text"]
    assert found["message"]["stop_reason"] == "end_turn"
    assert {one["saved"] for one in found["files"]} == {"out/figure-1.png", "out/dáta, 1.csv"}
    assert (belljar.cwd / "out" / "figure-1.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_goes_along(belljar: Command) -> None:
    (belljar.cwd / "таблица 1.csv").write_text("a,b\n")
    seen = belljar("chat", "-f", "таблица 1.csv", "look")
    assert (seen.returncode, seen.stdout) == (0, "['таблица 1.csv']\n")


def test_what_cannot_be_asked(belljar: Command, tmp_path: Path) -> None:
    assert belljar("chat", stdin="").returncode == 125
    missing = belljar("chat", "-f", "missing.csv", "look")
    assert (missing.returncode, missing.stdout) == (125, "")
    assert "missing.csv cannot be read" in missing.stderr
    nowhere = belljar("chat", "--url", "http://127.0.0.1:9", "look")
    assert nowhere.returncode == 3
    other = belljar("chat", "--upstream", "openai:http://127.0.0.1:9", "look")
    assert other.returncode == 125
    assert "and has not these models: `belljar down` first, or ask it without" in other.stderr
    there = belljar("chat", "--url", "http://127.0.0.1:9", "--upstream", "openai:http://127.0.0.1:9", "look")
    assert "--url names one that has its own" in there.stderr
    same = belljar("chat", "--upstream", f"scripted:{belljar.state / 'script.toml'}", "fail")
    assert (same.returncode, same.stdout) == (0, "It failed.\n"), same.stderr
    alone = Command(tmp_path / "none", tmp_path)
    without = alone("chat", "look")
    assert without.returncode == 3
    assert "--upstream openai:" in without.stderr


def test_without_a_server_it_has_its_own(tmp_path: Path, talking: Path) -> None:
    belljar = Command(tmp_path / "state", tmp_path)
    seen = belljar("chat", "--upstream", f"scripted:{talking / 'script.toml'}", "fail", **SMALL)
    assert (seen.returncode, seen.stdout) == (0, "It failed.\n"), seen.stderr
    assert "ZeroDivisionError" in seen.stderr
    assert belljar("status").returncode == 3


def test_at_a_terminal(belljar: Command) -> None:
    terminal = Terminal(belljar, "chat")
    try:
        terminal.wait_for("Ctrl-D ends")
        terminal.type("remember\n")
        terminal.wait_for("kept")
        terminal.type("please \\\nrecall\n")
        assert "print(x + 1)" in terminal.wait_for("It is 42")
        terminal.type("wait\n")
        terminal.wait_for("begun")  # while it runs
        terminal.type("\x03")
        terminal.wait_for("stopped")
        terminal.type("recall\n")
        terminal.wait_for("It is 42")  # the container is there, and what was said
        terminal.type("/model\n")
        terminal.wait_for("* scripted")
        terminal.type("draw\n")
        screen = terminal.wait_for("saves it")
        assert "First this." in screen  # as Markdown
        assert "saved figure-1.png" in screen
        terminal.type("/save kept\n")
        terminal.wait_for("saved kept/dáta, 1.csv")
        assert "It is 42" in (belljar.cwd / "kept" / "conversation.md").read_text()
        (belljar.cwd / "a b.txt").write_text("words")
        terminal.type('/file a b.txt\n"""\nlook\nhere\n"""\n')
        terminal.wait_for("goes with the next message")
        terminal.wait_for("'a b.txt'")
        terminal.type("/reset\n")
        terminal.wait_for("a new conversation")
        terminal.type("recall\n")
        terminal.wait_for("NameError")
        terminal.type("/fly\n")
        terminal.wait_for("there is no command /fly")
    finally:
        code = terminal.end()
    assert code == 0
    history = belljar.state / "chat_history"
    assert "recall" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("word", ["/exit", "/quit"])
def test_a_word_ends_it(belljar: Command, word: str) -> None:
    terminal = Terminal(belljar, "chat")
    try:
        terminal.wait_for("/help says")
        terminal.type(f"{word}\n")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.process.kill()
        terminal.read_to_end()


def test_pictures_in_a_terminal_that_shows_them(belljar: Command) -> None:
    terminal = Terminal(belljar, "chat", "draw", columns=40, BELLJAR_PICTURES="sixel")
    assert "\x1bP0;1q" in terminal.read_to_end()
    assert not (belljar.cwd / "figure-1.png").exists()


def test_an_answer_that_is_interrupted_in_a_pipe(belljar: Command) -> None:
    running = belljar.start("chat", "wait")
    assert running.stderr is not None
    while running.stderr.readline() != "begun\n":
        pass
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130


def test_what_code_prints_comes_while_it_runs(talking: Path) -> None:
    body = {
        "model": "scripted",
        "max_tokens": 1000,
        "stream": True,
        "tools": [{"type": "code_execution_20250522", "name": "code_execution"}],
        "messages": [{"role": "user", "content": "fail"}],
    }
    transport = httpx2.HTTPTransport(uds=str(talking / "server" / "api.sock"))
    with httpx2.Client(transport=transport, base_url="http://belljar", timeout=60) as http:

        def kinds(**headers: str) -> list[str]:
            with http.stream("POST", "/v1/messages", json=body, headers=headers) as answer:
                if answer.is_error:
                    return [str(answer.status_code)]
                events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
            return [
                event.get("content_block", {}).get("type") or event["output"]["type"]
                for event in events
                if event["type"] in ("content_block_start", "belljar_output")
            ]

        plain = {"anthropic-beta": "code-execution-2025-05-22"}
        assert kinds(**plain) == ["server_tool_use", "code_execution_tool_result", "text"]
        live = kinds(**plain, **{"belljar-output": "live"})
        assert live == ["server_tool_use", "error", "code_execution_tool_result", "text"]
        assert kinds(**{"belljar-output": "all"}) == ["400"]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", ""),
        ('{"co', ""),
        ('{"code": "', ""),
        ('{"code": "print(1', "print(1"),
        ('{"code": "a\\', "a"),
        ('{"code": "a\\n', "a\n"),
        ('{"code": "a\\u00', "a"),
        ('{"code": "a\\u00e9', "aé"),
        ('{"code": "\\"a\\" # \\\\", "x": 1', '"a" # \\'),
        ('{"command": "ls"}', "ls"),
    ],
)
def test_code_that_is_being_written(written: str, code: str) -> None:
    assert code_in(written) == code


def test_paragraphs_that_are_whole() -> None:
    assert shown._paragraphs("a\n\nb") == ("a\n\n", "b")
    assert shown._paragraphs("a") == ("", "a")
    assert shown._paragraphs("a\n\n```\nx\n\ny") == ("a\n\n", "```\nx\n\ny")
    assert shown._paragraphs("```\nx\n\ny\n```\n\nb") == ("```\nx\n\ny\n```\n\n", "b")


def stream(name: str, text: str) -> dict[str, str]:
    return {"type": "stream", "name": name, "text": text}


RAISED = {"type": "error", "brief": ["short"], "traceback": ["Traceback", "  in a library", "KeyError: 'a'"]}
TRACEBACK = "Traceback\n  in a library\nKeyError: 'a'\n"
STOPPED = "The run was stopped after 2 s."


@pytest.mark.parametrize(
    ("outputs", "stderr", "rest"),
    [
        ([RAISED], f"{TRACEBACK}{STOPPED}", STOPPED),
        (
            [stream("stderr", "wa"), stream("stdout", "x"), stream("stderr", "rn\n")],
            f"warn\n{STOPPED}",
            STOPPED,
        ),
        ([stream("stdout", "working"), stream("stderr", "warn\n")], "warn\n", ""),
        ([stream("stderr", "\r 1%"), stream("stdout", "x\n"), stream("stderr", "\r 2%")], "\r 1%\r 2%", ""),
        ([stream("stdout", "\n")], f"{STOPPED}\n\nmore\n", f"{STOPPED}\n\nmore\n"),
        ([RAISED], "Traceback\nKeyError: 'a'\nHint: 'b'\n", "Hint: 'b'\n"),
        ([stream("stderr", "a\nb\nc\n")], f"a\n[...]\nc\n{STOPPED}", f"{STOPPED}\n"),
        ([stream("stderr", "a\n")], "something else\n", ""),
        ([{"type": "clear_output", "wait": False}], "", ""),
    ],
)
def test_what_a_result_says_beyond_what_was_heard(outputs: list[Any], stderr: str, rest: str) -> None:
    heard = shown._Heard()
    for output in outputs:
        heard.words({"tool_use_id": "one", "output": output})
    content = {"type": "code_execution_result", "stdout": "begun\n", "stderr": stderr}
    assert heard.rest({"tool_use_id": "one", "content": content}) == rest
    assert heard.rest({"tool_use_id": "two", "content": content}) == f"begun\n{stderr}"


def test_a_use_that_failed_says_so() -> None:
    content = {"type": "code_execution_tool_result_error", "error_code": "unavailable"}
    assert shown._Heard().rest({"tool_use_id": "one", "content": content}) == "unavailable\n"


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85"])
def test_a_stream_with_characters_that_end_a_line_elsewhere(character: str) -> None:
    """JSON may have them as they are, and a server of an earlier version sends them so."""
    block = {"type": "text", "text": f"a{character}b"}
    said = {"role": "assistant", "content": [block], "stop_reason": "end_turn", "usage": {}}
    stream = "".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
        for event in events_of(said)
    )
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=stream.encode()))
    answer = Answer()
    with httpx2.Client(transport=transport, base_url="http://here") as client:
        list(Conversation(client, "model-1", 100, None).say("hello", answer))
    assert answer.text == f"a{character}b"
