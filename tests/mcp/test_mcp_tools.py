"""Every tool by the official client, by each transport and both kinds of the protocol."""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import anyio
import pytest
from connecting import NEWEST, WAYS, Box, Keyed, connected, images_of, links_of, text_of
from mcp import MCPError
from mcp_types import BlobResourceContents, EmbeddedResource, TextResourceContents

pytestmark = pytest.mark.anyio

HERE, THERE = ("stdio", NEWEST), ("http", NEWEST)
CHART = """
import matplotlib.pyplot as plt
plt.bar(["jan", "feb"], [3, 4], label="sales")
plt.title("Umsätze")
plt.ylabel("EUR")
open("tabelle ü.csv", "w").write("a,b\\n1,2\\n")
"""


@pytest.fixture(params=WAYS, ids=" ".join)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


async def test_all_that_there_is(way: tuple[str, str], keyed_server: Keyed) -> None:
    async with connected(way, keyed_server) as box:
        assert box.client.protocol_version == ("2025-11-25" if way[1] == "legacy" else NEWEST)
        tools = {tool.name: tool for tool in (await box.client.list_tools()).tools}
        assert set(tools) == {"run_python", "run_shell", "put_file", "get_file", "list_files", "reset"}
        for tool in tools.values():
            assert tool.annotations.open_world_hint is False
            assert tool.input_schema["additionalProperties"] is False
            assert tool.output_schema["type"] == "object"
        assert tools["list_files"].annotations.read_only_hint is True
        assert "pandas" in tools["run_python"].description

        assert (await box.call("list_files")).structured_content["files"] == []
        assert (await box.client.list_resources()).resources == []
        await box.call("put_file", path="in/daten.txt", text="Grüße")
        first = await box.run("x = open('in/daten.txt', encoding='utf-8').read()\nprint(x)\nx.upper()")
        assert (first["stdout"], first["value"], first["exit_code"]) == ("Grüße\n", "'GRÜSSE'", 0)
        assert (first["status"], first["files"], first["is_cut"]) == ("completed", [], False)

        drawn = await box.call("run_python", code=CHART)
        [image] = images_of(drawn)
        assert image.mime_type == "image/png"
        body = base64.b64decode(image.data)
        assert body.startswith(b"\x89PNG")
        assert min(struct.unpack_from(">II", body, 16)) > 100
        [chart] = drawn.structured_content["charts"]
        assert (chart["kind"], chart["title"], chart["is_shown"]) == ("bar", "Umsätze", True)
        assert chart["axes"][0]["y"] == "EUR"
        assert chart["axes"][0]["series"][0]["count"] == 2
        assert chart["text"] in text_of(drawn)
        [link] = links_of(drawn)
        [file] = drawn.structured_content["files"]
        assert (link.name, link.uri, link.size) == (file["path"], file["uri"], file["size_bytes"])
        assert (file["path"], file["media_type"]) == ("tabelle ü.csv", "text/csv")
        [read] = (await box.client.read_resource(link.uri)).contents
        assert isinstance(read, TextResourceContents)
        assert (read.text, read.mime_type) == ("a,b\n1,2\n", "text/csv")

        shell = await box.call(
            "run_shell", command="ls in; echo oops >&2; head -c 3 in/daten.txt > raw; exit 3"
        )
        assert not shell.is_error
        told = shell.structured_content
        assert (told["stdout"], told["stderr"], told["exit_code"]) == ("daten.txt\n", "oops\n", 3)
        assert [(one["path"], one["change"]) for one in told["files"]] == [("raw", "created")]
        assert "Exit code: 3" in text_of(shell)

        got = await box.call("get_file", path="tabelle ü.csv")
        assert got.structured_content["text"] == "a,b\n1,2\n" == text_of(got)
        listed = (await box.call("list_files")).structured_content
        assert [one["path"] for one in listed["files"]] == ["in/daten.txt", "raw", "tabelle ü.csv"]
        resources = (await box.client.list_resources()).resources
        if box.names_container:
            assert resources == []  # no session says whose they would be
        else:
            assert [one.name for one in resources] == ["in/daten.txt", "raw", "tabelle ü.csv"]
            assert [one.uri for one in resources] == [one["uri"] for one in listed["files"]]
        [template] = (await box.client.list_resource_templates()).resource_templates
        assert template.uri_template.endswith("files/{+path}")

        await box.call("reset")
        box.container = None
        fresh = await box.call("run_python", code="x")
        assert fresh.is_error
        assert fresh.structured_content["error"]["name"] == "NameError"


@pytest.mark.parametrize("way", WAYS[1:], ids=" ".join)
async def test_progress_and_cancellation(way: tuple[str, str], keyed_server: Keyed) -> None:
    told: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with connected(way, keyed_server) as box:
        await box.run("kept = 1")
        await box.call("run_shell", command="for n in 1 2 3; do echo step $n; sleep 0.5; done", progress=hear)
        assert told
        assert [progress for progress, _ in told] == sorted({progress for progress, _ in told})
        assert all(message and message.startswith("step ") for _, message in told)

        began = anyio.Event()

        async def heard(progress: float, total: float | None, message: str | None) -> None:
            began.set()

        async def run() -> None:
            code = "import time\nopen('began', 'w').close()\ntime.sleep(25)\nopen('ended', 'w').close()"
            await box.call("run_python", code=code, progress=heard)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            with anyio.fail_after(20):
                await began.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(15):  # the code would go on for longer
            after = await box.run("import os; sorted(os.listdir()), kept")
        assert after["value"] == "(['began'], 1)"


@pytest.mark.parametrize("way", [HERE, THERE], ids=" ".join)
async def test_what_goes_wrong_is_told(way: tuple[str, str], keyed_server: Keyed) -> None:
    async with connected(way, keyed_server) as box:
        raised = await box.call(
            "run_python", code="total = 3\n\ndef f(n):\n    return n / (total - 3)\n\nf(2)"
        )
        assert raised.is_error
        assert raised.structured_content["error"]["name"] == "ZeroDivisionError"
        assert "total" in text_of(raised)
        assert (await box.run("total"))["value"] == "3"

        late = await box.call("run_python", code="while True: pass", timeout_seconds=0.5)
        assert late.is_error
        assert late.structured_content["status"] == "timed_out"
        assert "0.5" in text_of(late)
        late = await box.call("run_shell", command="sleep 20", timeout_seconds=0.5)
        assert late.is_error
        assert late.structured_content["status"] == "timed_out"
        left = await box.call("run_python", code="import sys; sys.exit(4)")
        assert left.structured_content["exit_code"] == 4
        assert "Exit code: 4" in text_of(left)

        for tool, arguments, word in (
            ("run_python", {"kode": "1"}, "kode"),
            ("run_python", {}, "code"),
            ("run_python", {"code": 1}, "code"),
            ("run_python", {"code": "1", "timeout_seconds": -1}, "timeout_seconds"),
            ("run_python", {"code": "1", "files": [{"path": "a"}]}, "files.0.text"),
            ("run_python", {"code": "1", "files": [{"path": "../a", "text": ""}]}, "files.0.path"),
            ("run_shell", {"command": "a\0b"}, "NUL"),
            ("put_file", {"path": "a", "base64": "$"}, "base64"),
            ("put_file", {"path": "/etc/passwd", "text": ""}, "path"),
            ("put_file", {"path": "a", "text": "", "base64": ""}, "text"),
            ("get_file", {"path": "nowhere"}, "no such file"),
        ):
            answer = await box.call(tool, **arguments)
            assert answer.is_error
            assert word in text_of(answer), (arguments, answer)
        with pytest.raises(MCPError, match="Unknown tool: rm"):
            await box.client.call_tool("rm", {})
        answer = await box.client.call_tool("get_file", {"path": "x", "container": "container_none"})
        assert answer.is_error
        # Nothing of it has done the session any harm.
        assert (await box.run("total + 1"))["value"] == "4"


async def test_a_program_that_ends_badly_costs_variables_and_no_files(keyed_server: Keyed) -> None:
    async with connected(THERE, keyed_server) as box:
        await box.run("x = 1; open('kept.txt', 'w').write('kept')")
        died = await box.call("run_python", code="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert died.is_error
        assert died.structured_content["status"] == "crashed"
        assert "variables" in text_of(died)
        assert (await box.run("open('kept.txt').read(), 'x' in globals()"))["value"] == "('kept', False)"


async def test_what_is_long_is_cut(keyed_server: Keyed) -> None:
    async with connected(THERE, keyed_server) as box:
        answer = await box.call("run_python", code="for n in range(30000): print(f'line {n:06}')")
        told = answer.structured_content
        assert told["is_cut"]
        assert len(told["stdout"]) < 60_000
        assert told["stdout"].startswith("line 000000")
        assert told["stdout"].endswith("line 029999\n")
        assert "left out" in told["stdout"]
        assert "left out" in text_of(answer)
        beyond = await box.call("run_python", code="print('x' * 3_000_000)")
        assert beyond.structured_content["is_cut"]
        assert "1,048,576 bytes" in text_of(beyond)
        await box.run("open('long.txt', 'w').write('0123456789' * 20_000)")
        got = await box.call("get_file", path="long.txt")
        assert got.structured_content["is_cut"]
        assert "sed -n" in text_of(got)


async def test_pictures(keyed_server: Keyed) -> None:
    noise = "Image.frombytes('RGB', ({0}, {0}), os.urandom({0} * {0} * 3))"
    async with connected(THERE, keyed_server) as box:
        await box.run("import os\nfrom PIL import Image")
        saved = await box.call("run_python", code=f"{noise.format(20)}.save('small.png')")
        assert len(images_of(saved)) == 1
        assert saved.structured_content["charts"][0]["path"] == "small.png"
        again = await box.call("get_file", path="small.png")
        assert images_of(again)[0].data == images_of(saved)[0].data
        large = await box.call("run_python", code=f"{noise.format(1100)}.save('large.png')")
        assert images_of(large) == []
        assert large.structured_content["charts"][0]["is_shown"] is False
        assert "larger than 3 MiB" in text_of(large)
        assert [link.name for link in links_of(large)] == ["large.png"]
        many = await box.call(
            "run_python", code=f"for n in range(25): {noise.format(9)}.save(f'{{n:02}}.png')"
        )
        assert len(images_of(many)) == 20
        assert many.structured_content["charts_left_out"] == 5
        assert "5 more pictures" in text_of(many)
        both = await box.call(
            "run_python",
            code="import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.savefig('plot.png'); plt.show()",
        )
        assert len(images_of(both)) == 1  # one chart, shown and saved


async def test_files(keyed_server: Keyed) -> None:
    async with connected(HERE, keyed_server) as box:
        made = await box.run(
            "import os\nout = os.environ['OUTPUT_DIR']\n"
            "open('same.txt', 'w').write('work')\nopen(f'{out}/same.txt', 'w').write('output')"
        )
        assert [one["path"] for one in made["files"]] == ["same.txt", "output/same.txt"]
        assert (await box.call("get_file", path="same.txt")).structured_content["text"] == "work"
        assert (await box.call("get_file", path="output/same.txt")).structured_content["text"] == "output"
        shell = await box.call(
            "run_shell", command="rm same.txt; echo more > $OUTPUT_DIR/more.txt; echo >> output/same.txt"
        )
        assert [(one["path"], one["change"]) for one in shell.structured_content["files"]] == [
            ("output/same.txt", "modified"),
            ("output/more.txt", "created"),
        ]
        assert shell.structured_content["deleted"] == ["same.txt"]
        assert "Deleted: same.txt" in text_of(shell)

        odd = await box.call("run_shell", command="touch $'odd\\xff' plain; mkdir sub; echo > sub/$'\\xfe'")
        assert not odd.is_error
        assert [one["path"] for one in odd.structured_content["files"]] == ["odd\\xff", "plain", "sub/\\xfe"]
        assert odd.structured_content["files_left_out"] == 0
        assert (await box.call("get_file", path="sub/\\xfe")).structured_content["text"] == "\n"
        full = await box.call(
            "run_shell", command="head -c 300000000 /dev/zero > $OUTPUT_DIR/large; echo done"
        )
        assert full.structured_content["stdout"] == "done\n"
        assert (full.structured_content["files"], full.structured_content["files_left_out"]) == ([], 1)

        given = [{"path": "a/b.bin", "base64": base64.b64encode(bytes(range(256))).decode()}]
        assert (await box.run("len(open('a/b.bin', 'rb').read())", files=given))["value"] == "256"
        got = await box.call("get_file", path="a/b.bin")
        assert got.structured_content["text"] is None
        [resource] = [block.resource for block in got.content if isinstance(block, EmbeddedResource)]
        assert isinstance(resource, BlobResourceContents)
        assert base64.b64decode(resource.blob) == bytes(range(256))
        [read] = (await box.client.read_resource("belljar://files/a/b.bin")).contents
        assert isinstance(read, BlobResourceContents)

        await box.run("open('big.bin', 'wb').write(os.urandom(2_000_000))")
        assert [link.name for link in links_of(await box.call("get_file", path="big.bin"))] == ["big.bin"]
        await box.run("open('huge.bin', 'wb').write(bytes(17 * 2**20))")
        assert "split" in text_of(await box.call("get_file", path="huge.bin"))
        with pytest.raises(MCPError, match="split"):
            await box.client.read_resource("belljar://files/huge.bin")
        for uri in (
            "belljar://files/none",
            "belljar://files/../etc/passwd",
            "file:///etc/passwd",
            "belljar://files/",
        ):
            with pytest.raises(MCPError):
                await box.client.read_resource(uri)

        many = await box.run("for n in range(260): open(f'n{n:03}', 'w').close()")
        assert len(many["files"]) == 50
        assert many["files_left_out"] == 210
        seen: list[str] = []
        cursor = None
        while True:
            page = await box.client.list_resources(cursor=cursor)
            seen += [resource.name for resource in page.resources]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == sorted(set(seen))
        assert len([name for name in seen if name.startswith("n")]) == 260
        with pytest.raises(MCPError, match="cursor"):
            await box.client.list_resources(cursor="made up")


BRIDGE = ("bridge", "legacy")


@pytest.mark.parametrize("way", [WAYS[1], WAYS[3], BRIDGE], ids=" ".join)
async def test_that_files_have_changed_is_told(way: tuple[str, str], keyed_server: Keyed) -> None:
    async with connected(way, keyed_server) as box:
        await box.run("1")
        assert box.changes == 0
        await box.run("open('new', 'w').close()")
        with anyio.fail_after(10):
            while box.changes == 0:
                await anyio.sleep(0.01)


@pytest.mark.parametrize("way", [WAYS[1], WAYS[3]], ids=" ".join)
async def test_calls_of_one_session_take_turns(way: tuple[str, str], keyed_server: Keyed) -> None:
    values: list[Any] = []

    async def add(box: Box) -> None:
        code = "import time\nold = n if 'n' in globals() else 0\ntime.sleep(0.05)\nn = old + 1\nn"
        values.append((await box.run(code))["value"])

    async with connected(way, keyed_server) as box:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(add, box)
        assert sorted(values) == ["1", "2", "3", "4", "5"]


async def test_sessions_are_each_for_itself(keyed_server: Keyed) -> None:
    async with (
        connected(WAYS[3], keyed_server) as one,
        connected(WAYS[3], keyed_server) as other,
        connected(THERE, keyed_server) as newest,
        connected(HERE, keyed_server) as own,
    ):
        boxes = (one, other, newest, own)
        for number, box in enumerate(boxes):
            await box.run(f"mine = {number}")
        for number, box in enumerate(boxes):
            assert (await box.run("mine"))["value"] == str(number)
        assert one.container != other.container
        # A client that shook hands may go on in a container that it knows by name.
        assert (await one.run("mine", container=other.container))["value"] == "1"


def test_a_picture_can_be_looked_at() -> None:
    """What the assertions above call a PNG is one for others too."""
    from struct import unpack_from

    from belljar.mcp.answered import Picture, facts_of, image

    body = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (7).to_bytes(4) + (5).to_bytes(4)
    block = image(Picture("image/png", body, "a.png", None))
    assert unpack_from(">II", io.BytesIO(base64.b64decode(block.data)).getvalue(), 16) == (7, 5)
    assert facts_of(Picture("image/png", None, "a.png", None)).is_shown is False
