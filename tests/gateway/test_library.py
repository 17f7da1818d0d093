"""The library, with a jail of its own and with a server: the same code, the same answers."""

from __future__ import annotations

import doctest
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from serving import Server, serving

import belljar
from belljar import AsyncSandbox, Sandbox, errors
from belljar.client import async_sandbox, sandbox, showing
from belljar.client.places import Cleared, Place, Program, Told
from belljar.client.places.server import ServerPlace
from belljar.wire.execution import DisplayOutput, ErrorOutput, Isolation, StreamOutput


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("library"), preload={}) as server:
        yield server


@pytest.fixture(scope="module", params=["local", "server"])
def place(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"base_url": request.getfixturevalue("server").url} if request.param == "server" else {}


@pytest.fixture(scope="module")
def shared(place: dict[str, str]) -> Iterator[Sandbox]:
    with Sandbox(**place, memory_bytes=512 * 1024 * 1024) as box:
        yield box


@pytest.fixture
def box(shared: Sandbox) -> Sandbox:
    for file in shared.files():
        shared.remove(file.path)
    return shared


def test_variables_and_files_live_on(box: Sandbox) -> None:
    assert box.run("x = 41").text == ""
    result = box.run("print(x); x + 1")
    assert (result.text, result.stdout, result.value, result.ok) == ("41\n42\n", "41\n", "42", True)
    box.put("data/a.txt", "Grüße")
    assert box.run("open('data/a.txt', encoding='utf-8').read()").value == "'Grüße'"
    assert [file.path for file in box.files()] == ["data/a.txt"]


def test_what_a_file_can_be_made_of(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    box.put("bytes", b"\x00\xff")
    box.put("large", tmp_path / "large")
    box.put("read", io.BytesIO(b"from a stream"))
    box.put("empty", "")
    assert {file.path: file.size_bytes for file in box.files()} == {
        "bytes": 2,
        "empty": 0,
        "large": 3_000_000,
        "read": 13,
    }
    assert box.get("bytes") == b"\x00\xff"
    assert box.get("read") == b"from a stream"
    assert box.save("large", tmp_path / "copy").read_bytes() == bytes(3_000_000)
    with pytest.raises(FileExistsError):
        box.save("large", tmp_path)
    with pytest.raises(FileNotFoundError):
        box.put("none", tmp_path / "none")


def test_what_a_run_has_made(box: Sandbox, tmp_path: Path) -> None:
    box.put("kept.txt", "old")
    code = "import os\nopen('kept.txt', 'a').write('!')\nopen(os.environ['OUTPUT_DIR'] + '/new.json', 'w').write('{}');"
    result = box.run(code)
    made = {file.filename: file for file in result.files}
    assert {name: file.change for name, file in made.items()} == {
        "kept.txt": "modified",
        "new.json": "created",
    }
    assert box.get(made["new.json"]) == b"{}"
    assert box.save(made["kept.txt"], tmp_path).read_text() == "old!"


def test_two_files_of_one_path(box: Sandbox) -> None:
    code = "import os\nfor top in ('.', os.environ['OUTPUT_DIR']):\n    open(f'{top}/a.txt', 'w').write(top);"
    contents = [box.get(file) for file in box.run(code).files]
    assert contents[0] == b"."
    assert contents[1].startswith(b"/")


def test_an_exception_is_a_result(box: Sandbox) -> None:
    result = box.run("print('before')\n1/0")
    assert not result.ok
    assert result.outcome.status == "raised"
    assert result.error is not None
    assert result.error.ename == "ZeroDivisionError"
    assert result.text.startswith("before\nTraceback")
    assert str(result) == result.text


def test_it_says_at_a_prompt_where_it_is_and_how(place: dict[str, str]) -> None:
    box = Sandbox(**place)
    assert repr(box) == "<Sandbox, not open>"
    with box:
        assert repr(box) == f"<Sandbox, open, {box.container or 'on this machine'}>"
    assert repr(box) == "<Sandbox, closed>"
    assert repr(AsyncSandbox(**place)) == "<AsyncSandbox, not open>"


def test_a_line_of_shell_and_what_is_told_while_code_runs(box: Sandbox) -> None:
    told: list[str] = []
    result = box.run("!echo $((6 * 7))", on_output=lambda one: told.append(getattr(one, "text", "")))
    assert ("".join(told), result.text) == ("42\n", "42\n")


def test_the_text_of_an_exception_has_what_helps_to_mend_the_code(box: Sandbox) -> None:
    result = box.run("import pandas as pd\nsales = pd.DataFrame({'price': [1]})\nsales['pric']")
    assert result.error is not None
    assert result.text.splitlines()[: len(result.error.brief)] == result.error.brief
    assert "  sales: DataFrame" in result.text
    assert result.text.endswith("Hint: There is no column 'pric', but 'price'. The columns are: 'price'.\n")


def test_a_limit_is_in_the_text(box: Sandbox) -> None:
    result = box.run("while True: pass", timeout_seconds=0.5)
    assert result.outcome.status == "timed_out"
    assert result.outcome.message in result.text


def test_pictures(box: Sandbox, tmp_path: Path) -> None:
    result = box.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('drawn')")
    [image] = result.images
    assert image.mime_type == "image/png"
    assert image.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert result.text == "drawn\n"


def test_what_ends_a_line_elsewhere_is_printed_as_it_is(box: Sandbox) -> None:
    assert box.run(r"print('a\u2028b\u2029c\x85d')").stdout == "a\u2028b\u2029c\x85d\n"


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85"])
def test_a_stream_that_has_such_characters_as_they_are(character: str) -> None:
    """JSON may have them, and a server of an earlier version sends them so."""
    events: list[dict[str, Any]] = [
        {"type": "stream", "name": "stdout", "text": f"a{character}b"},
        {"type": "error", "error": {"type": "not_found_error", "message": f"c{character}d"}},
    ]
    stream = "".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events
    )
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=stream.encode()))
    told: list[Told] = []

    async def run() -> None:
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as http:
            place = ServerPlace(http, "container_1", Isolation.model_construct())
            await place.run(Program("1", None, "", {}), told.append)

    with pytest.raises(errors.NotFound, match=f"c{character}d"):
        anyio.run(run)
    assert [said.text for said in told if isinstance(said, StreamOutput)] == [f"a{character}b"]


def test_it_is_told_as_it_happens(box: Sandbox) -> None:
    told: list[Told] = []
    code = "from IPython.display import clear_output\nprint(1)\nclear_output()\nprint(2)\n'three'"
    box.run(code, on_output=told.append)
    assert [type(one) for one in told] == [StreamOutput, Cleared, StreamOutput, DisplayOutput]
    told.clear()
    box.run("1/0", on_output=told.append)
    assert [type(one) for one in told] == [ErrorOutput]


def test_a_callback_that_raises_ends_the_run(box: Sandbox) -> None:
    def stop(told: Told) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        box.run("import time\nprint(1, flush=True)\ntime.sleep(600)", on_output=stop)
    assert box.run("2").value == "2"


def test_stdin_and_environment(box: Sandbox) -> None:
    code = "import os\nprint(input(), os.environ['COLOUR'])"
    assert box.run(code, stdin="given\n", env={"COLOUR": "blue"}).stdout == "given blue\n"


def test_what_is_not_there(box: Sandbox) -> None:
    for ask in (box.get, box.remove):
        with pytest.raises(errors.NoSuchFile, match=r"none\.txt"):
            ask("none.txt")
    for path in ("../a", "", "a//b"):
        with pytest.raises(errors.InvalidRequest):
            box.put(path, "x")
    with pytest.raises(errors.InvalidRequest, match=r"it is relative, as 'data/sales\.csv'"):
        box.put("/tmp/a", "x")
    assert box.files() == []


@pytest.mark.parametrize("content", [5, None, ["a"], "a file of text"])
def test_what_is_no_content(box: Sandbox, content: Any) -> None:
    if content == "a file of text":
        content = io.StringIO(content)
    with pytest.raises(errors.InvalidRequest, match=r"^content: "):
        box.put("x", content)
    assert box.files() == []


def test_what_is_no_path(box: Sandbox, tmp_path: Path) -> None:
    wrong: Any = 5
    for ask in (
        lambda: box.put(wrong, "x"),
        lambda: box.get(wrong),
        lambda: box.remove(wrong),
        lambda: box.save(wrong, tmp_path),
        lambda: box.save("x", wrong),
    ):
        with pytest.raises(errors.InvalidRequest, match=r"^path: "):
            ask()
    assert box.run("1").value == "1"


@pytest.mark.anyio
async def test_cancelling_interrupts(place: dict[str, str]) -> None:
    async with AsyncSandbox(**place) as box:
        assert (await box.run("x = 1; x")).value == "1"
        with anyio.move_on_after(1) as scope:
            await box.run("import time\ntime.sleep(600)")
        assert scope.cancelled_caught
        assert (await box.run("x")).value == "1"  # the interpreter has survived it


def test_runs_at_once_take_turns(box: Sandbox) -> None:
    box.run("total = 0")
    code = "before = total\nfor _ in range(10_000): pass\ntotal = before + 1"
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: box.run(code), range(4)))
    assert [result.ok for result in results] == [True] * 4
    assert box.run("total").value == "4"


@pytest.mark.anyio
async def test_who_has_come_first_goes_first_and_who_gives_up_has_no_turn() -> None:
    begun = anyio.Event()
    async with AsyncSandbox() as box, anyio.create_task_group() as tasks:
        await box.run("turns = []")

        async def turn(name: str, scope: anyio.CancelScope) -> None:
            with scope:
                await box.run(f"turns.append({name!r})")

        async def first() -> None:
            wait = "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)"
            assert (await box.run(wait, on_output=lambda told: begun.set())).ok

        tasks.start_soon(first)
        await begun.wait()
        scopes = {name: anyio.CancelScope() for name in "abc"}
        for name, scope in scopes.items():
            tasks.start_soon(turn, name, scope)
            await anyio.wait_all_tasks_blocked()
        scopes["b"].cancel()
        await anyio.wait_all_tasks_blocked()
        await box.put("go", "")
        assert (await box.run("turns")).value == "['a', 'c']"


def test_it_is_open_inside_of_its_block_only(place: dict[str, str]) -> None:
    box = Sandbox(**place)
    for ask in (
        box.files,
        lambda: box.run("1"),
        lambda: box.run("1", on_output=print),
        lambda: box.container,
    ):
        with pytest.raises(errors.InvalidRequest, match="with Sandbox"):
            ask()


def test_it_is_open_from_start_to_close(place: dict[str, str]) -> None:
    box = Sandbox(**place)
    box.close()  # nothing yet
    assert box.start() is box
    assert box.run("x = 1; x").value == "1"
    with box.start() as same:
        assert same.run("x").value == "1"
    for ask in (box.files, lambda: box.run("1"), lambda: box.container):
        with pytest.raises(errors.InvalidRequest, match="closed"):
            ask()
    box.close()
    box.start()
    assert box.run("'x' in globals()").value == "False"
    box.close()


@pytest.mark.anyio
async def test_the_same_with_async(place: dict[str, str]) -> None:
    box = AsyncSandbox(**place)
    await box.aclose()
    async with await box.start() as same:
        assert (await same.run("1")).value == "1"
    with pytest.raises(errors.InvalidRequest, match="closed"):
        await box.run("1")
    assert await box.start() is box
    assert (await box.run("2")).value == "2"
    await box.aclose()
    await box.aclose()


_NOT_CLOSED = {
    "entered": "box = Sandbox(*url).__enter__()\nuse(box)",
    "started": "box = Sandbox(*url).start()\nuse(box)",
    "not the last": "for _ in range(2):\n    box = Sandbox(*url).start()\n    use(box)",
    "its threads": "box = Sandbox(*url).start()\nbox.put('x', pathlib.Path(sys.argv[1]))\nuse(box)",
    "in a thread": "box = Sandbox(*url).start()\nthreading.Thread(target=late, args=(box,)).start()",
    "forked": "box = Sandbox(*url).start()\nif (pid := os.fork()) == 0:\n    sys.exit()\nos.waitpid(pid, 0)\nuse(box)",
    "it raises": "box = Sandbox(*url).start()\nuse(box)\nraise SystemExit(0)",
}
_USE = """
import os, pathlib, sys, threading
from belljar import Sandbox
url = sys.argv[2:]
def use(box):
    keeper = getattr(box._box._place, "_keeper", None)
    print(box.run("6 * 7").value, box.container or keeper.pid, flush=True)
def late(box):
    threading.main_thread().join()
    use(box)
"""


@pytest.mark.parametrize("program", _NOT_CLOSED.values(), ids=_NOT_CLOSED)
def test_one_that_is_not_closed_ends_with_the_program(
    place: dict[str, str], program: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"x")
    urls = [url.replace("127.0.0.1", "localhost") for url in place.values()]
    done = subprocess.run(
        [sys.executable, "-c", _USE + program, str(tmp_path / "x"), *urls],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for line in done.stdout.splitlines():
        value, lived_in = line.split()
        assert value == "42"
        if urls:
            with pytest.raises(errors.NotFound), Sandbox(urls[0], container=lived_in):
                pass
        else:
            assert not Path(f"/proc/{lived_in}").exists()
    assert done.stdout


def test_one_that_nobody_has_any_more_ends(place: dict[str, str]) -> None:
    box = Sandbox(**place).start()
    where, portal = box._box._place, box._portal
    assert where is not None
    assert portal is not None
    del box
    with anyio.from_thread.start_blocking_portal() as here:
        here.call(_until_gone, where, portal)


async def _until_gone(where: Place, portal: BlockingPortal) -> None:
    with anyio.fail_after(60):
        while True:
            try:
                await anyio.to_thread.run_sync(portal.call, where.files)
            except (errors.NotFound, RuntimeError):  # at a server, its client is closed before
                return
            except errors.Unreachable:
                pass  # it was closed while it asked, and the next time says so
            await anyio.sleep(0.05)


@pytest.mark.parametrize(
    "limits", [{"memory_bytes": 1}, {"pids": 0}, {"cpus": -1.0}, {"timeout_seconds": -1}]
)
def test_limits_that_are_none(limits: dict[str, float]) -> None:
    with pytest.raises(errors.InvalidRequest, match=next(iter(limits))):
        Sandbox(**limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "more", "path"),
    [(5, {}, "code"), ("1", {"timeout_seconds": 0}, "timeout_seconds"), ("1", {"env": {"A": 1}}, "env.A")],
)
def test_what_cannot_be_run(place: dict[str, str], code: Any, more: dict[str, Any], path: str) -> None:
    with Sandbox(**place) as box:
        with pytest.raises(errors.InvalidRequest, match=f"^{path}: "):
            box.run(code, **more)
        result = box.run("print('x' * 999)\n6 * 7")
        assert repr(result) == f"Result(completed, '{'x' * 200}…', 0 images, 0 files)"


@pytest.mark.parametrize(
    ("code", "stdin"),
    [("1", "x" * 70_000_000), ("x" * 70_000_000, ""), ("1", "\xe9" * 12_000_000)],
    ids=["stdin", "code", "as JSON"],
)
def test_what_is_too_large_is_not_sent(place: dict[str, str], code: str, stdin: str) -> None:
    with Sandbox(**place) as box:
        with pytest.raises(errors.RequestTooLarge, match="bytes"):
            box.run(code, stdin=stdin)
        assert box.run("input()", stdin="a").value == "'a'"


def test_an_unknown_runtime(place: dict[str, str]) -> None:
    with pytest.raises(errors.NotFound, match="nonesuch"), Sandbox(**place, runtime="nonesuch"):
        pass


def test_a_container_of_the_servers(server: Server) -> None:
    with Sandbox(server.url) as box:
        own = box.container
        box.run("x = 5")
        with Sandbox(server.url, container=own) as same:
            assert same.run("x").value == "5"
        assert box.run("x").value == "5"  # who comes to one that is there leaves it there
        assert box.isolation.level in ("full", "limited", "reduced")
    with (
        pytest.raises(errors.NotFound, match=r"gone.*Leave `container` out"),
        Sandbox(server.url, container=own),
    ):
        pass
    with pytest.raises(errors.InvalidRequest, match="base_url"):
        Sandbox(container="container_1")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(errors.Unreachable, match=r"[^.]\. `belljar serve`"), Sandbox("http://127.0.0.1:9"):
        pass


@pytest.mark.parametrize("url", ["localhost:8620", "localhost:8620/", "ws://localhost:8620"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(errors.Unreachable, match=r"write http://localhost:8620$"), Sandbox(url):
        pass


def test_a_notebook_gets_nothing_that_runs(box: Sandbox) -> None:
    code = (
        "from IPython.display import HTML, SVG\ndisplay(HTML('<script>alert(1)</script>'))\nprint('<b>')\n1/0"
    )
    page = box.run(code)._repr_html_()
    assert "<script" not in page
    assert '<iframe sandbox="" srcdoc="&lt;script&gt;' in page
    assert "<pre>&lt;b&gt;" in page
    assert 'color: #b00020">Traceback' in page


def test_pictures_in_terminals() -> None:
    picture = b"\x89PNG" + bytes(4996)
    kitty = showing.drawn(picture, showing.way_of({"TERM": "xterm-kitty"}))
    assert kitty is not None
    assert kitty.startswith(b"\x1b_Ga=T,f=100,m=1;")
    assert kitty.count(b"\x1b_G") == 2
    assert kitty.endswith(b"\x1b\\\n")
    iterm = showing.drawn(picture, showing.way_of({"TERM_PROGRAM": "iTerm.app"}))
    assert iterm is not None
    assert iterm.startswith(b"\x1b]1337;File=inline=1;size=5000:")
    assert showing.way_of({"TERM": "xterm-256color"}) is None
    assert showing.way_of({"TERM": "xterm-kitty", "TMUX": "x"}) is None
    assert showing.way_of({"TERM": "xterm-kitty", "BELLJAR_PICTURES": "none"}) is None
    assert showing.way_of({"BELLJAR_PICTURES": "sixel"}) == "sixel"
    assert showing.drawn(picture, "sixel") is None  # it is no PNG but for its first bytes
    assert showing.drawn(b"GIF89a", "kitty") is None
    assert showing.harmless("a\x1b[2Jb\n\tc\r\u202e") == "a�[2Jb\n\tc��"


def test_show_prints(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    box.run("import matplotlib.pyplot as plt\nprint('text')\nplt.plot([1])").show()
    printed = capsys.readouterr().out
    assert printed.startswith("text\n[")
    assert "[picture 1: image/png, " in printed


@pytest.mark.parametrize("module", [belljar, sandbox, async_sandbox], ids=lambda module: module.__name__)
def test_the_examples_of_the_documentation(module: object) -> None:
    # Names of the library are there by its own import; nothing else is.
    found = doctest.testmod(
        module, extraglobs={"anyio": anyio, "Sandbox": Sandbox, "AsyncSandbox": AsyncSandbox}
    )
    assert found.attempted > 0
    assert found.failed == 0


def test_the_package_itself_imports_nothing() -> None:
    code = "import sys, belljar; print('pydantic' in sys.modules, belljar.Sandbox.__name__, 'pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "Sandbox", "True"]


def test_a_jail_of_ones_own_needs_no_client_of_http() -> None:
    code = (
        "import sys; from belljar import Sandbox; Sandbox().start().close(); print('httpx2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False"]
