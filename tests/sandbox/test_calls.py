"""Shell commands, edits and the caller's own tools, in real sessions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from jail import DEADLINE_SECONDS, SPEAKING, Session

from belljar import orders, results
from belljar.orders import Command, Edit, Tool
from belljar.settings import Settings

pytestmark = pytest.mark.anyio

WEATHER = [Tool("get_weather", "The weather at a place.")]


async def call(session: Session, *calls: str | dict[str, Any], timeout: float = 30) -> results.Result:
    """Run commands (strings) and edits (their input)."""
    asked = [Command(item) if isinstance(item, str) else Edit(item) for item in calls]
    with anyio.fail_after(DEADLINE_SECONDS):
        return await session.keeper.execute(session.name, orders.Run(None, timeout, calls=asked))


async def printed(session: Session, command: str) -> str:
    result = await call(session, command)
    assert result.calls[0].return_code == 0, result
    return result.calls[0].stdout.strip()


def edited(result: results.Result, number: int = 0) -> dict[str, Any]:
    return json.loads(result.calls[number].body)


async def test_a_command(session: Session) -> None:
    result = await call(session, "echo out; echo err >&2; exit 3")
    assert (result.outcome.status, result.return_code) == ("completed", 0)
    (done,) = result.calls
    assert (done.stdout, done.stderr, done.return_code) == ("out\n", "err\n", 3)
    assert (await call(session, "kill -9 $$")).calls[0].return_code == 137
    assert (await call(session, "no-such-command")).calls[0].return_code == 127
    assert (await call(session, "echo 'unclosed")).calls[0].return_code == 2
    assert await printed(session, "printf %s 'ünï ☃'") == "ünï ☃"
    assert await printed(session, "cat; echo nothing to read") == "nothing to read"


async def test_pip_says_what_is_there(session: Session) -> None:
    """That of the machine would wait for a network, and is of another Python."""
    own = await session.value(
        "import importlib.metadata as m, json; print(json.dumps(next(d.name for d in m.distributions())))"
    )
    await call(session, f"echo '{own}>=0' > wanted.txt")
    said = await printed(
        session,
        f"pip install -q -r wanted.txt && bash -c 'pip3 install \"{own}\" | tail -1'; pip list | wc -l",
    )
    first, second, count = said.splitlines()
    assert first.startswith(f"Requirement already satisfied: {own}>=0 (")
    assert second.startswith(f"Requirement already satisfied: {own} (")
    assert int(count) > 0
    for command in ("pip install no-such-package", "pip install -r no-such-file", "pip uninstall -y x"):
        (done,) = (await call(session, command)).calls
        assert (done.return_code, done.stdout) == (1, "")
        assert done.stderr.startswith("ERROR: ")
        assert "Traceback" not in done.stderr
    said = await printed(session, f"python -m pip install '{own}' && python3 -m pip list | wc -l")
    assert said.splitlines() == [second, count]
    # By whomever it is called: any other shell, or none.
    code = (
        "import os, subprocess, sys\nos.system('pip install no-such-package')\n"
        f"subprocess.run(['pip3', 'install', {own!r}], check=True)"
    )
    result = await session.run(code)
    assert result.outcome.status == "completed", result.stderr
    assert result.stdout == f"{second}\n"
    assert result.stderr.startswith("ERROR: no-such-package: There is no network here")
    result = await session.run(
        f"import pip\nassert pip.main(['install', {own!r}]) == 0\n"
        "subprocess.run([sys.executable, '-m', 'pip', 'install', 'no-such-package'], check=True)"
    )
    assert result.stdout == f"{second}\n"
    assert "ERROR: no-such-package: There is no network here" in result.stderr
    assert result.outcome.reason == "CalledProcessError"


async def test_files_are_shared_and_shells_are_not(session: Session) -> None:
    assert await printed(session, "cd /tmp; export SEEN=1; echo kept > $INPUT_DIR/file; pwd") == "/tmp"
    work = await printed(session, "pwd")
    assert await printed(session, 'echo "-$SEEN-"; cat file') == "--\nkept"
    assert await session.says("import os; print(os.getcwd(), open('file').read().strip())") == f"{work} kept"
    result = await call(session, {"command": "view", "path": "$INPUT_DIR/file"})
    assert edited(result)["content"] == "kept"


async def test_what_a_command_hands_out(session: Session) -> None:
    result = await call(
        session,
        "echo a > $OUTPUT_DIR/a.txt; mkdir $OUTPUT_DIR/deep; echo b > $OUTPUT_DIR/deep/b; echo c > not-there",
        "echo aa > $OUTPUT_DIR/a.txt; ln -s /etc/passwd $OUTPUT_DIR/link; mkfifo $OUTPUT_DIR/fifo",
        "true",
    )
    assert [(file.path, file.size_bytes, file.call) for file in result.files] == [
        ("a.txt", 2, 0),
        ("a.txt", 3, 1),
    ]
    assert await session.content(result.files[1]) == b"aa\n"
    again = await call(session, "ls -A $OUTPUT_DIR")
    assert (again.calls[0].stdout, again.files) == ("", [])


async def test_calls_run_side_by_side(session: Session) -> None:
    # Each waits for the other: one after the other they would never end.
    await call(session, "mkfifo one two")
    first, second = "echo 1 > one; cat two", "cat one; echo 2 > two"
    result = await call(session, first, second, {"command": "create", "path": "made", "file_text": "x"})
    assert [done.stdout for done in result.calls] == ["2\n", "1\n", ""]
    assert edited(result, 2) == {"result": "create", "is_file_update": False}


@pytest.mark.skipif(Settings().require == "reduced", reason="/proc is closed there")
async def test_nothing_outlives_its_command(session: Session) -> None:
    source = """
        import subprocess
        kept = subprocess.Popen(['sleep', '1000'])
        while not open(f'/proc/{kept.pid}/cmdline').read():
            pass  # it is being made
        print(1)
        """
    assert await session.says(source) == "1"
    command = (
        "sleep 1001 & setsid sleep 1002 & (setsid nohup sleep 1003 > /dev/null 2>&1 &); disown -a; echo on"
    )
    assert await printed(session, command) == "on"
    look = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    left = await printed(session, look)
    assert "sleep 1000" in left  # what Python has started goes on with Python
    for number in (1001, 1002, 1003):
        assert f"sleep {number}" not in left
    assert await session.says("print(kept.poll())") == "None"


async def test_the_time_is_up(session: Session) -> None:
    await session.says("kept = 1; print(kept)")
    result = await call(session, "echo begun; sleep 1000", "echo over", "trap '' INT; sleep 1000", timeout=1)
    assert result.outcome.status == "timed_out"
    assert [done.return_code for done in result.calls] == [None, 0, None]
    assert [done.stdout for done in result.calls] == ["begun\n", "over\n", ""]
    assert await session.says("print(kept)") == "1"
    assert (
        await printed(session, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[s]leep' || true") == "0"
    )


async def test_output_is_bounded(session: Session) -> None:
    result = await call(session, "yes x | tr -d '\\n' | head -c 3000000; echo END", "echo other")
    assert result.calls[0].truncated.stdout
    assert result.calls[0].stdout.endswith("END\n")
    assert len(result.calls[0].stdout) < 1_100_000
    assert result.calls[1].stdout == "other\n"
    endless = await call(session, "yes")
    assert endless.outcome.status == "output_exceeded"
    assert endless.calls[0].return_code is None
    assert await printed(session, "echo again") == "again"


async def test_a_command_that_kills_the_interpreter(session: Session) -> None:
    await session.says("gone = 1; print(gone)")
    result = await call(session, "echo last; kill -9 $PPID; sleep 1000")
    assert (result.outcome.status, result.calls[0].return_code) == ("crashed", None)
    assert await printed(session, "echo again") == "again"
    assert "NameError" in (await session.run("gone")).stderr


async def test_being_interrupted(session: Session) -> None:
    with anyio.move_on_after(1) as scope:
        await session.keeper.execute(session.name, orders.Run(None, 1000, calls=[Command("sleep 1000")]))
    assert scope.cancelled_caught
    assert await printed(session, "echo again") == "again"


@pytest.mark.parametrize(
    "said",
    [
        "message('said', b'x', call=0, name='stdout')",
        "message('called', b'', call=0, return_code=0)",
        "message('called', b'', call=-1, return_code=0)",
        "message('said', b'x', call='0', name='stdout')",
        "message('ask', json.dumps([{'ask': 1, 'name': 'x', 'input': {}}]).encode())",
        "message('reply', b'', ask=1, status='answered')",
    ],
)
async def test_what_nobody_has_asked_for(session: Session, said: str) -> None:
    result = await session.run(f"{SPEAKING}\nsay({said})\ntime.sleep(1000)")
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "protocol")


# -- the caller's own tools ---------------------------------------------------------------------------------


class Client:
    """Answers what code asks."""

    def __init__(
        self, session: Session, answer: Callable[[results.Ask], tuple[orders.ReplyStatus, str]]
    ) -> None:
        self.session = session
        self.answer = answer
        self.asked: list[list[tuple[str, dict[str, Any]]]] = []

    async def run(self, code: str, *, timeout: float = 30, wait: float = 0) -> results.Result:
        async def reply(asks: results.Asks) -> None:
            await anyio.sleep(wait)
            for ask in asks.asks:
                await self.session.keeper.reply(self.session.name, ask.number, *self.answer(ask))

        def heard(asks: results.Asks) -> None:
            self.asked.append([(ask.name, ask.input) for ask in asks.asks])
            tasks.start_soon(reply, asks)

        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(DEADLINE_SECONDS):
                return await self.session.keeper.execute(
                    self.session.name, orders.Run(code, timeout, tools=WEATHER), on_asks=heard
                )


def sunny(ask: results.Ask) -> tuple[orders.ReplyStatus, str]:
    return "answered", f"sunny in {ask.input['place']}"


async def test_code_asks_its_caller(session: Session) -> None:
    client = Client(session, sunny)
    result = await client.run("print(await get_weather({'place': 'Boston'}))")
    assert result.stdout == "sunny in Boston\n"
    assert client.asked == [[("get_weather", {"place": "Boston"})]]


async def test_what_is_asked_side_by_side_arrives_together(session: Session) -> None:
    client = Client(session, sunny)
    result = await client.run("""
import asyncio
async def one(place):
    await asyncio.sleep(0)
    return await get_weather(place=place)
async def main():
    print(await asyncio.gather(*map(one, ['Ürümqi', 'Oslo', 'Lima'])))
    print(await get_weather({'place': 'Rome'}))
asyncio.run(main())
print('seen', flush=True)
""")
    assert result.stdout == "['sunny in Ürümqi', 'sunny in Oslo', 'sunny in Lima']\nsunny in Rome\nseen\n"
    assert [[given["place"] for _, given in asks] for asks in client.asked] == [
        ["Ürümqi", "Oslo", "Lima"],
        ["Rome"],
    ]


async def test_the_clock_stands_still_while_the_caller_thinks(session: Session) -> None:
    result = await Client(session, sunny).run("print(await get_weather(place='Oslo'))", timeout=1, wait=2)
    assert result.outcome.status == "completed"
    result = await Client(session, sunny).run(
        "await get_weather(place='Oslo')\nwhile True: pass", timeout=1, wait=0
    )
    assert result.outcome.status == "timed_out"


async def test_answers_that_are_errors(session: Session) -> None:
    statuses: list[orders.ReplyStatus] = ["failed", "timed_out"]
    result = await Client(session, lambda ask: (statuses[ask.input["n"]], "no such place")).run("""
for n in range(2):
    try:
        await get_weather(n=n)
    except (RuntimeError, TimeoutError) as error:
        print(type(error).__name__, error)
await get_weather(n=1)
""")
    assert result.stdout == "RuntimeError no such place\nTimeoutError no such place\n"
    assert result.outcome.status == "raised"
    assert "TimeoutError: no such place" in result.stderr
    assert "inside.zip" not in result.stderr


async def test_a_long_answer_that_nobody_waits_for_any_more(session: Session) -> None:
    """The code ends before it has read it, and the next one is behind it."""

    async def reply(asks: results.Asks) -> None:
        for ask in asks.asks:
            await session.keeper.reply(session.name, ask.number, "answered", "x" * 8_000_000)

    code = """
import asyncio, time
async def main():
    asked = asyncio.ensure_future(get_weather(place='Oslo'))
    for _ in range(10):
        await asyncio.sleep(0)
    time.sleep(0.5)
    print(asked.cancel())
asyncio.run(main())
"""
    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            result = await session.keeper.execute(
                session.name,
                orders.Run(code, 30, tools=WEATHER),
                on_asks=lambda asks: tasks.start_soon(reply, asks),
            )
            assert result.stdout == "True\n"
            assert await session.says("print('next')", timeout=10) == "next"


async def test_displays_and_questions_take_one_way(session: Session) -> None:
    result = await Client(session, sunny).run("""
import asyncio
async def show(place):
    answer = await get_weather(place=place)
    print(answer)
asyncio.run(show('Oslo'))
6 * 7
""")
    assert [type(output).__name__ for output in result.outputs] == ["Stream", "Display"]


async def test_what_is_shown_while_replies_come_keeps_none_of_them(session: Session) -> None:
    """Whoever waits for the word on a display reads the replies as well; their own reader then finds nothing."""
    result = await Client(session, sunny).run("""
import asyncio, sys, threading
async def ask():
    for step in range(60):
        answer = await get_weather(place=step)
        print(answer)
        print(answer, file=sys.stderr)
async def show():
    while True:
        handle.update('meanwhile')
        sum(range(10_000))  # while a reply may come
        await asyncio.sleep(0)
handle = display('', display_id=True)
showing = asyncio.create_task(show())
await ask()
thread = threading.Thread(target=lambda: [handle.update('thread') for _ in range(200)])
thread.start()
await ask()
showing.cancel()
thread.join()
""")
    assert result.outcome.status == "completed", result.outcome
    said = 2 * [f"sunny in {step}" for step in range(60)]
    assert result.stdout.splitlines() == result.stderr.splitlines() == said


async def test_long_answers_and_what_else_the_code_is_told(session: Session) -> None:
    """More than the socket holds, for code that does not read it yet."""

    def long(ask: results.Ask) -> tuple[orders.ReplyStatus, str]:
        tasks.start_soon(session.keeper.reply, session.name, 2, "answered", "y" * 2_000_000)
        return "answered", "x" * 3_000_000

    code = """
import asyncio, time
from belljar.guest import display
async def main():
    asked = [asyncio.create_task(get_weather()) for _ in range(2)]
    await asyncio.sleep(0.1)
    time.sleep(1)
    display._emit[0]('display_data', {'text/plain': b'shown'})
    print([len(answer) for answer in await asyncio.gather(*asked)])
asyncio.run(main())
"""
    async with anyio.create_task_group() as tasks:
        result = await Client(session, long).run(code)
    assert [type(output).__name__ for output in result.outputs] == ["Display", "Stream"], result.stderr
    assert result.stdout == "[3000000, 2000000]\n"


async def test_a_long_answer_to_code_that_has_ended(session: Session) -> None:
    result = await Client(session, lambda ask: ("answered", "x" * 3_000_000)).run("""
import asyncio, time
asked = asyncio.create_task(get_weather())
await asyncio.sleep(0.1)
time.sleep(1)
kept = 5
""")
    assert result.outcome.status == "completed"
    assert await session.says("print(kept)") == "5"


async def test_wrong_questions_are_errors_in_the_code(session: Session) -> None:
    client = Client(session, sunny)
    result = await client.run("""
import asyncio, threading
async def wrong(*given, **more):
    try:
        await get_weather(*given, **more)
    except Exception as error:
        print(type(error).__name__)
await wrong('Oslo')
await wrong({'x': {1, 2}})
await wrong({'x': float('nan')})
thread = threading.Thread(target=lambda: asyncio.run(wrong({})))
thread.start(); thread.join()
""")
    assert result.stdout.split() == ["TypeError", "TypeError", "ValueError", "RuntimeError"]
    assert client.asked == []
    stale = await session.run("await get_weather(place='Oslo')")
    assert "is not offered to this run" in stale.stderr


async def test_an_interrupted_question(session: Session) -> None:
    with anyio.move_on_after(1):
        await session.keeper.execute(
            session.name,
            orders.Run("await get_weather(place='Oslo')", 1, tools=WEATHER),
            on_asks=lambda asks: None,
        )
    assert await session.says("print('again')") == "again"
    assert (await Client(session, sunny).run("print(await get_weather(place='x'))")).stdout == "sunny in x\n"


@pytest.mark.parametrize(
    "body",
    [
        "b'[]'",
        "b'{}'",
        "b'\\xff'",
        "json.dumps([{'ask': True, 'name': 'get_weather', 'input': {}}]).encode()",
        "json.dumps([{'ask': 1, 'name': 'get_weather', 'input': []}]).encode()",
        "json.dumps([{'ask': 1, 'name': 'get_time', 'input': {}}]).encode()",
        "json.dumps([{'ask': 1, 'name': 'x' * 300, 'input': {}}]).encode()",
        'b\'[{"ask": 1, "name": "get_weather", "input": {"x": 1e999}}]\'',
        'b\'[{"ask": 1, "name": "get_weather", "input": {"x": \' + b\'[\' * 200 + b\']\' * 200 + b\'}}]\'',
        "json.dumps([{'ask': 1, 'name': 'get_weather', 'input': {}}] * 2).encode()",
        "json.dumps([{'ask': n, 'name': 'get_weather', 'input': {}} for n in range(2000)]).encode()",
    ],
)
async def test_questions_that_are_none(session: Session, body: str) -> None:
    result = await Client(session, sunny).run(f"{SPEAKING}\nsay(message('ask', {body}))\ntime.sleep(1000)")
    assert (result.outcome.status, result.outcome.reason) == ("crashed", "protocol")


async def test_many_commands_take_turns(session: Session) -> None:
    result = await call(session, *(f"sleep 0.01 & wait; echo {n}" for n in range(60)))
    assert [(done.stdout, done.stderr, done.return_code) for done in result.calls] == [
        (f"{n}\n", "", 0) for n in range(60)
    ]
