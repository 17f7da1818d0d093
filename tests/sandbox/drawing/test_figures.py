"""Charts come back once each, whether or not the code saves or shows them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import jail
import pytest
from jail import Session

from belljar import results
from belljar.wire.charts import CHART, Chart

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
        assert set(event.data) == {"image/png", "text/plain", CHART}
        assert event.chart is not None
        assert event.chart.id
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
    assert await made("plt.plot([1])\nwith open('e.png', 'wb') as f:\n  plt.savefig(f)") == (0, ["e.png"])
    assert await made("plt.figure()") == (0, [])  # nothing is on it
    assert await made("f = plt.figure(); f.text(0, 0, 'one'); f.text(1, 1, 'two')") == (1, [])
    assert await made(
        "from matplotlib.animation import FuncAnimation as A\nf, ax = plt.subplots()\nl, = ax.plot([0, 1])\n"
        "A(f, lambda n: l.set_ydata([0, n]), frames=2).save('f.gif', writer='pillow')"
    ) == (0, ["f.gif"])


FIGURE = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\n_ = ax.plot([1, 2])\n"


@pytest.mark.parametrize(
    ("code", "states"),
    [
        (FIGURE + "fig", ["execute_result 1"]),
        (FIGURE + "fig.show()", ["display_data 1"]),
        (FIGURE + "fig.show(); plt.show(); fig.show()", ["display_data 1"]),
        (FIGURE + "plt.show()\nfig", ["display_data 1", "execute_result"]),
        (FIGURE + "fig.savefig('a.png')\nfig", ["execute_result", "a.png 1"]),
        (FIGURE + "fig.savefig('a.png'); fig.savefig('b.png', dpi=30)", ["a.png 1", "b.png 1"]),
        (FIGURE + "fig.show(); fig.savefig('a.png', facecolor='red')", ["display_data 1", "a.png 1"]),
        (FIGURE + "fig.savefig('a.pdf')", ["display_data 1", "a.pdf 1"]),
        (FIGURE + "fig.show(); _ = ax.set_title('more'); fig.show()", ["display_data 1", "display_data 2"]),
        (FIGURE + "fig.savefig('a.png'); _ = ax.plot([3])", ["display_data 2", "a.png 1"]),
        (FIGURE + "fig.show(); _ = plt.subplots()[1].plot([3])", ["display_data 1", "display_data 2"]),
        (FIGURE + "import io; fig.savefig(io.BytesIO(), format='svg')", ["display_data 1"]),
        (
            "from matplotlib.figure import Figure\nf = Figure()\n_ = f.subplots().plot([1])\nf.savefig('o.svg')\nf",
            ["execute_result 1", "o.svg 1"],
        ),
        (FIGURE + "fig.savefig('a.png')\nimport os; os.rename('a.png', 'z.png')", ["z.png 1"]),
    ],
)
async def test_each_state_of_a_figure_once(session: Session, code: str, states: list[str]) -> None:
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed", result.stderr
    ids: dict[str, int] = {}

    def named(what: str, chart: Chart | None) -> str:
        if chart is None or chart.id is None:
            return what
        return f"{what} {ids.setdefault(chart.id, len(ids) + 1)}"

    # In the order in which they were made, so that the first state is the first number.
    for chart in [*(e.chart for e in displays(result)), *(f.chart for f in result.files)]:
        if chart is not None and chart.id is not None:
            ids[chart.id] = int(chart.id.rpartition("_")[2])
    ids = {name: rank for rank, name in enumerate(sorted(ids, key=ids.__getitem__), start=1)}
    assert [named(e.type, e.chart) for e in displays(result)] + [
        named(f.path, f.chart) for f in result.files
    ] == states


async def test_a_figure_again_in_the_next_run(session: Session) -> None:
    (first,) = displays(await session.run(FIGURE + "fig", timeout=60))
    (again,) = displays(await session.run("fig"))
    assert again.chart == first.chart  # nothing has changed, and it was asked for
    assert again.data["image/png"] == first.data["image/png"]


async def test_one_that_cannot_be_drawn_takes_no_other_along(session: Session) -> None:
    bad = "class Bad(plt.Line2D):\n    def draw(self, _): raise ValueError('not me')\n"
    draw = "plt.subplots()[1].add_line(Bad([0], [0]))\nplt.subplots()[1].plot([1])\n"
    code = f"import matplotlib.pyplot as plt\n{bad}{draw}"
    result = await session.run(code + "pass", timeout=60)
    assert (result.outcome.status, result.outcome.reason) == ("raised", "ValueError")
    assert [event.type for event in displays(result)] == ["display_data"]


async def test_more_figures_than_are_given_back(session: Session) -> None:
    code = """
        import warnings, matplotlib.pyplot as plt
        warnings.simplefilter("ignore")
        for n in range(270):
            _ = plt.figure(figsize=(1, 1)).text(0, 0, str(n))
    """
    result = await session.run(code, timeout=60)
    assert len(displays(result)) == 256
    assert result.displays_left_out == 14


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


async def test_only_what_matplotlib_says_of_its_fonts_by_itself_is_left_out(session: Session) -> None:
    result = await session.run(
        """
        import matplotlib.font_manager as fonts
        fonts._log.warning("Matplotlib is building the font cache; this may take a moment.")
        fonts._log.warning("findfont: there is no such family")
        """,
        timeout=60,
    )
    assert result.stderr == "findfont: there is no such family\n"


_CHARTS = """
import io
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from PIL import Image

def bars():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
    left.bar(["Jan", "Feb", "Mar"], [3e7, 1e7, 2e7], label="units")
    left.set_title("Bars")
    left.legend()
    right.plot([1, 2, 3], [2, 1, 3], "o--")
    right.tick_params(axis="x", rotation=40)
    right.set_ylabel("height")
    plt.tight_layout()
    return figure

def picture():
    figure, axes = plt.subplots(figsize=(4, 3))
    shown = axes.imshow(np.add.outer(np.arange(20), np.arange(30)))
    figure.colorbar(shown)
    return figure

def solid():
    figure = plt.figure(figsize=(4, 4))
    axes = figure.add_subplot(projection="3d")
    axes.plot([0, 1, 2], [0, 1, 0], [3, 2, 1])
    return figure

charts = (bars, picture, solid)
draws = []
def counted(self, *args, plain=Figure.draw, **kwargs):
    draws.append(self)
    return plain(self, *args, **kwargs)
Figure.draw = counted
as_it_is = FigureCanvasBase.print_figure.__wrapped__
def pixels(file):
    return np.asarray(Image.open(file).convert("RGBA")).astype(int)
"""


async def test_a_saved_picture_is_drawn_once_and_is_what_matplotlib_makes(session: Session) -> None:
    said = await session.says(
        _CHARTS
        + """
for chart in charts:
    for more, most in (({}, 1), ({"dpi": 70}, 1), ({"dpi": 70, "bbox_inches": "tight"}, 2)):
        chart()
        plt.savefig(ours := io.BytesIO(), **more)
        assert len(draws) == most, (chart, more, draws)
        draws.clear()
        as_it_is(chart().canvas, theirs := io.BytesIO(), format="png", **more)
        assert (pixels(ours) == pixels(theirs)).all(), (chart, more)
        draws.clear()
        plt.close("all")
print("the same")
""",
        timeout=60,
    )
    assert said == "the same"


async def test_who_looks_at_the_canvas_behind_a_save_sees_the_figure(session: Session) -> None:
    said = await session.says(
        _CHARTS
        + """
for more in ({}, {"dpi": 30}, {"bbox_inches": "tight"}, {"transparent": True}, {"facecolor": "red"}):
    canvas = bars().canvas
    plt.savefig(io.BytesIO(), **more)
    ours = np.array(canvas.buffer_rgba())
    canvas.draw()
    assert (ours == np.asarray(canvas.buffer_rgba())).all(), more
    plt.savefig(io.BytesIO(), **more)
    assert len(canvas.tostring_argb()) == ours.size
    plt.close("all")

figure = bars()
told = []
figure.canvas.mpl_connect("draw_event", told.append)
plt.savefig(io.BytesIO())
assert len(told) == 3  # as often as matplotlib draws
print("seen")
""",
        timeout=60,
    )
    assert said == "seen"


async def test_a_shown_picture_is_drawn_once_and_has_all_that_is_on_it(session: Session) -> None:
    said = await session.says(
        _CHARTS
        + """
def outside():
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([1, 2], label="a line with a long name")
    axes.legend(bbox_to_anchor=(1.5, 1))
    return figure

def at_the_edge():
    figure, axes = plt.subplots(figsize=(1, 2))
    axes.set_yticks([0, 1], ["1 000 000", "2 000 000"])
    return figure

def white():
    figure = plt.figure(figsize=(4, 3))
    axes = figure.add_axes([0.2, 0.2, 0.6, 0.6])
    axes.imshow(np.pad(np.zeros((8, 8, 3)), ((8, 8), (8, 8), (0, 0)), constant_values=1))
    axes.axis("off")
    return figure

from belljar.guest import figures  # how what is shown is drawn
for chart, most in ((bars, 1), (picture, 1), (solid, 1), (white, 1), (outside, 2), (at_the_edge, 2)):
    ours = pixels(io.BytesIO(figures.draw(chart(), "png")))
    assert len(draws) == most, (chart, len(draws))
    as_it_is(chart().canvas, theirs := io.BytesIO(), format="png", bbox_inches="tight")
    sides = list(zip(ours.shape, pixels(theirs).shape))
    assert all(abs(own - other) <= (0 if most > 1 else 4) for own, other in sides), (chart, sides)
    assert (ours[0, 0] == pixels(theirs)[0, 0]).all()
    draws.clear()
    plt.close("all")
print("all of it")
""",
        timeout=60,
    )
    assert said == "all of it"
