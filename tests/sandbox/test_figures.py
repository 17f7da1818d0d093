"""Charts come back once each, whether or not the code saves or shows them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import jail
import pytest
from jail import Session

from belljar import results

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["imported ahead", "imported by the code"])
async def started(anyio_backend: str, request: pytest.FixtureRequest) -> AsyncIterator[jail.Started]:
    modules = (
        ("matplotlib.pyplot", "matplotlib.backends.backend_agg") if request.param == "imported ahead" else ()
    )
    async with jail.started(preload={"charts": modules}) as started:
        await started.keeper.warm()
        assert all(tier.state == "ready" and not tier.why for tier in started.keeper.tiers)
        yield started


def pictures(result: results.Result) -> list[bytes]:
    assert result.outcome.status == "completed", result.stderr
    shown = [
        event
        for event in result.outputs
        if isinstance(event, results.Display) and event.type == "display_data"
    ]
    for event in shown:
        assert set(event.data) == {"image/png", "text/plain"}
        assert event.data["image/png"].startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", event.data["image/png"][16:24])
        assert width > 100
        assert height > 100
    return [event.data["image/png"] for event in shown]


async def test_charts(session: Session) -> None:
    """One session for all of it: an import of matplotlib takes seconds."""

    async def made(code: str) -> tuple[int, list[str]]:
        result = await session.run(f"import matplotlib.pyplot as plt\n{code}", timeout=60)
        return len(pictures(result)), [file.path for file in result.files]

    assert await made("plt.plot([1, 2, 3])") == (1, [])
    assert await made("") == (0, [])
    assert await made("plt.plot([1])\nplt.show()") == (1, [])
    assert await made("plt.plot([1])\nplt.show()\nplt.show()\nplt.figure()\nplt.plot([2])") == (2, [])
    assert await made("plt.plot([1])\nplt.savefig('a.png')") == (0, ["a.png"])
    assert await made("plt.plot([1])\nplt.savefig('b.png')\nplt.show()") == (0, ["b.png"])
    assert await made(
        "f, ax = plt.subplots()\nax.plot([1])\nf.savefig('c.svg')\nplt.figure()\nplt.plot([2])"
    ) == (2, ["c.svg"])  # a drawing to download, and both to look at
    assert await made("import io\nplt.plot([1])\nplt.savefig(io.BytesIO())") == (1, [])
    assert await made("plt.plot([1])\nplt.close()") == (0, [])
    assert await made("for i in range(3):\n  plt.figure()\n  plt.plot([i])") == (3, [])
    assert await made("import os\nplt.plot([1])\nplt.savefig(os.environ['OUTPUT_DIR'] + '/d.pdf')") == (
        1,
        ["d.pdf"],
    )
    assert await made("plt.plot([1])\nplt.savefig('/tmp/away.png')") == (1, [])
    assert await made("plt.plot([1])\nplt.savefig('no_suffix')") == (0, ["no_suffix.png"])


def displays(result: results.Result) -> list[results.Display]:
    return [event for event in result.outputs if isinstance(event, results.Display)]


async def test_a_chart_belongs_to_its_run_however_that_ended(session: Session) -> None:
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n"
    for ending, status in (("1 / 0", "raised"), ("raise SystemExit(0)", "exited")):
        result = await session.run(draw + ending, timeout=60)
        assert result.outcome.status == status
        assert len(displays(result)) == 1
        assert pictures(await session.run("None")) == []
    result = await session.run(draw + "while True: pass", timeout=2)
    assert result.outcome.status == "timed_out"
    assert pictures(await session.run("None")) == []


async def test_a_chart_stands_where_it_was_shown(session: Session) -> None:
    code = """
        import matplotlib.pyplot as plt
        print("before")
        plt.plot([1, 2])
        plt.show()
        print("after")
        "last"
    """
    result = await session.run(code, timeout=60)
    kinds = [
        event.text if isinstance(event, results.Stream) else event.type
        for event in result.outputs
        if not isinstance(event, results.Raised)
    ]
    assert kinds == ["before\n", "display_data", "after\n", "execute_result"]


async def test_code_that_raises_still_shows_what_it_showed(session: Session) -> None:
    result = await session.run(
        "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\n1 / 0", timeout=60
    )
    assert result.outcome.reason == "ZeroDivisionError"
    assert isinstance(result.outputs[0], results.Display)
    result = await session.run("plt.plot([1])\n1 / 0")
    left = await session.run("plt.get_fignums()")
    shown = [event.type for event in [*result.outputs, *left.outputs] if isinstance(event, results.Display)]
    assert shown.count("display_data") <= 1


async def test_a_chart_from_a_forked_child_is_not_ours(session: Session) -> None:
    code = """
        import matplotlib.pyplot as plt, os
        if os.fork() == 0:
            plt.plot([1])
            plt.show()
            os._exit(0)
        os.wait()
    """
    assert pictures(await session.run(code, timeout=60)) == []
