"""What a chart shows, as data, against the data that it was drawn from."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jail
import pytest
from jail import Session

from belljar import link, results
from belljar.records import MAX_CHART_BYTES
from belljar.wire.charts import Chart

pytestmark = pytest.mark.anyio

BEGIN = "import matplotlib.pyplot as plt, numpy as np, pandas as pd\n"
TABLE = "t = pd.DataFrame({'x': [1, 2, 3, 4] * 3, 'y': [2.0, 1, 4, 3] * 3, 'k': ['u', 'v', 'w'] * 4})\n"
SEABORN = f"import seaborn as sns\n{TABLE}"
PLOTLY = f"import plotly.express as px, plotly.graph_objects as go\n{TABLE}"


@pytest.fixture(scope="module")
async def data(preloaded: link.Keeper) -> AsyncIterator[Session]:
    """One session for all: none of these leaves anything that the next would see."""
    async with jail.opened(preloaded) as session:
        yield session


async def charts(session: Session, code: str) -> list[Chart]:
    result = await session.run(BEGIN + code, timeout=60)
    assert result.outcome.status == "completed", result.stderr
    found = []
    for event in result.outputs:
        if isinstance(event, results.Display) and "image/png" in event.data:
            assert event.chart is not None, code
            assert event.chart.alt
            found.append(event.chart)
    return found


async def series(session: Session, code: str) -> tuple[str, list[dict[str, Any]]]:
    """The kind of the one chart, and its series without what is derived of them."""
    (chart,) = await charts(session, code)
    (axes,) = chart.axes
    told = [one.model_dump(exclude_defaults=True) for one in axes.series]
    for one in told:
        for derived in ("count", "min", "max", "edges", "shares", "shape"):
            one.pop(derived, None)
    return chart.kind, told


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        (
            "plt.plot([1, 2, 4], [3, 1.5, 2], label='a')",
            "line",
            [{"kind": "line", "name": "a", "x": [1, 2, 4], "y": [3, 1.5, 2]}],
        ),
        (
            "plt.scatter([1, 2], [3, 4], c=[5, 6])",
            "scatter",
            [{"kind": "scatter", "x": [1, 2], "y": [3, 4], "color": [5, 6]}],
        ),
        ("plt.plot([1, 2], [3, 4], 'o')", "scatter", [{"kind": "scatter", "x": [1, 2], "y": [3, 4]}]),
        (
            "plt.bar(['Jan', 'März', '四月'], [3, -1, 2])",
            "bar",
            [{"kind": "bar", "x": ["Jan", "März", "四月"], "y": [3, -1, 2]}],
        ),
        (
            "plt.barh(['a', 'b'], [5, 7])",
            "bar",
            [{"kind": "bar", "x": [5, 7], "y": ["a", "b"], "is_horizontal": True}],
        ),
        (
            "x = np.arange(2); plt.bar(x - 0.2, [1, 2], 0.4, label='A'); plt.bar(x + 0.2, [3, 4], 0.4, label='B')\n"
            "plt.xticks(x, ['p', 'q'])",
            "grouped_bar",
            [
                {"kind": "bar", "name": "A", "x": ["p", "q"], "y": [1, 2]},
                {"kind": "bar", "name": "B", "x": ["p", "q"], "y": [3, 4]},
            ],
        ),
        (
            "pd.DataFrame({'A': [1, 2], 'B': [3, 4]}, index=['p', 'q']).plot.bar(stacked=True)",
            "stacked_bar",
            [
                {"kind": "bar", "name": "A", "x": ["p", "q"], "y": [1, 2]},
                {"kind": "bar", "name": "B", "x": ["p", "q"], "y": [3, 4], "base": [1, 2]},
            ],
        ),
        (
            "plt.pie([10, 30], labels=['ä', 'b'], autopct='%d%%')",
            "pie",
            [{"kind": "pie", "x": ["ä", "b"], "y": [10, 30]}],
        ),
        (
            "plt.boxplot([[1, 2, 3, 4, 100], [2, 3, 4, 5]], tick_labels=['u', 'v'])",
            "box",
            [
                {
                    "kind": "box",
                    "boxes": [
                        {
                            "label": "u",
                            "low": 1,
                            "q1": 2,
                            "median": 3,
                            "q3": 4,
                            "high": 4,
                            "outliers": 1,
                            "mean": 22,
                        },
                        {
                            "label": "v",
                            "low": 2,
                            "q1": 2.75,
                            "median": 3.5,
                            "q3": 4.25,
                            "high": 5,
                            "outliers": 0,
                            "mean": 3.5,
                        },
                    ],
                }
            ],
        ),
        (
            "plt.hist([1, 1, 2, 3, 3, 3, 5], bins=4)",
            "histogram",
            [{"kind": "histogram", "x": [1.5, 2.5, 3.5, 4.5], "y": [2, 1, 3, 1]}],
        ),
        (
            "plt.hist([1, 2, 2, 3], bins=2, histtype='step')",
            "histogram",
            [{"kind": "histogram", "x": [1.5, 2.5], "y": [1, 3]}],
        ),
        (
            "plt.hist([[1, 1, 3], [3, 3, 3]], bins=2, label=['a', 'b'])",
            "histogram",
            [
                {"kind": "histogram", "name": "a", "x": [1.5, 2.5], "y": [2, 1]},
                {"kind": "histogram", "name": "b", "x": [1.5, 2.5], "y": [0, 3]},
            ],
        ),
        (
            "plt.imshow([[1, 2, 3], [4, 5, 6.5]]); plt.xticks(range(3), ['a', 'b', 'c'])",
            "heatmap",
            [{"kind": "heatmap", "x": ["a", "b", "c"], "y": [0, 1], "values": [[1, 2, 3], [4, 5, 6.5]]}],
        ),
        (
            "plt.pcolormesh([0, 1, 2], [0, 2, 4], [[1, 2], [3, float('nan')]])",
            "heatmap",
            [{"kind": "heatmap", "x": [0.5, 1.5], "y": [1, 3], "values": [[1, 2], [3, None]]}],
        ),
        (
            f"{SEABORN}sns.heatmap(pd.DataFrame([[1, 2], [3, 4]], index=['r', 's'], columns=['c', 'd']), annot=True)",
            "heatmap",
            [{"kind": "heatmap", "x": ["c", "d"], "y": ["r", "s"], "values": [[1, 2], [3, 4]]}],
        ),
        (
            "plt.fill_between([1, 2, 3], [4, 5, 6])",
            "area",
            [{"kind": "area", "x": [1, 2, 3], "y": [4, 5, 6]}],
        ),
        (
            "plt.fill_between([1, 2, 3], [-4, -5, -6])",
            "area",
            [{"kind": "area", "x": [1, 2, 3], "y": [-4, -5, -6]}],
        ),
        (
            "plt.stackplot([1, 2], [3, 4], [5, 6], labels=['a', 'b'])",
            "area",
            [
                {"kind": "area", "name": "a", "x": [1, 2], "y": [3, 4]},
                {"kind": "area", "name": "b", "x": [1, 2], "y": [5, 6], "base": [3, 4]},
            ],
        ),
        (
            "plt.plot([1, 2], [5, 6]); plt.fill_between([1, 2], [4, 5], [6, 7], alpha=0.2)",
            "line",
            [
                {"kind": "area", "x": [1, 2], "y": [2, 2], "base": [4, 5]},
                {"kind": "line", "x": [1, 2], "y": [5, 6]},
            ],
        ),
        (
            "plt.violinplot([[1, 2, 3, 4], [2, 3, 4, 9]], showmedians=True)",
            "violin",
            [
                {
                    "kind": "violin",
                    "boxes": [
                        {"label": 1, "low": 1, "median": 2.5, "high": 4, "mean": 2.5},
                        {"label": 2, "low": 2, "median": 3.5, "high": 9, "mean": 4.5},
                    ],
                }
            ],
        ),
        ("plt.contour([[1, 2], [3, 4]], levels=[2, 3])", "contour", [{"kind": "contour", "levels": [2, 3]}]),
        ("plt.polar([0, 1], [2, 3])", "polar", [{"kind": "line", "x": [0, 1], "y": [2, 3]}]),
        (
            "plt.figure().add_subplot(projection='3d').scatter([1, 2], [3, 4], [5, 6])",
            "3d",
            [{"kind": "scatter", "x": [1, 2], "y": [3, 4], "z": [5, 6]}],
        ),
        (
            "plt.errorbar([1, 2], [3, 4], yerr=[0.1, 0.2], label='e')",
            "line",
            [{"kind": "line", "name": "e", "x": [1, 2], "y": [3, 4], "has_error_bars": True}],
        ),
        (
            "plt.plot([1, 2], [3, 4]); plt.axhline(3.5, label='goal')",
            "line",
            [
                {"kind": "line", "x": [1, 2], "y": [3, 4]},
                {"kind": "reference", "name": "goal", "y": [3.5]},
            ],
        ),
        (
            "import datetime as dt; plt.plot([dt.date(2024, 1, 31), dt.datetime(2024, 2, 29, 12, 30, 5)], [1, 2])",
            "line",
            [{"kind": "line", "x": ["2024-01-31", "2024-02-29T12:30:05"], "y": [1, 2]}],
        ),
        (
            "pd.Series([1, 2], index=pd.date_range('2024-01-31', periods=2, freq='ME'), name='s').plot(legend=True)",
            "line",
            [{"kind": "line", "name": "s", "x": ["2024-01", "2024-02"], "y": [1, 2]}],
        ),
        (
            f"{SEABORN}sns.scatterplot(t[:3], x='x', y='y', hue='k')",
            "scatter",
            [
                {"kind": "scatter", "name": "u", "x": [1], "y": [2]},
                {"kind": "scatter", "name": "v", "x": [2], "y": [1]},
                {"kind": "scatter", "name": "w", "x": [3], "y": [4]},
            ],
        ),
        (
            f"{SEABORN}sns.lineplot(t[:8], x='x', y='y', hue='k', errorbar=None)",
            "line",
            [
                {"kind": "line", "name": "u", "x": [1, 3, 4], "y": [2, 4, 3]},
                {"kind": "line", "name": "v", "x": [1, 2, 4], "y": [2, 1, 3]},
                {"kind": "line", "name": "w", "x": [2, 3], "y": [1, 4]},
            ],
        ),
        (
            f"{SEABORN}sns.barplot(t, x='k', y='y', hue='x', errorbar='sd', legend=False)",
            "grouped_bar",
            [{"kind": "bar", "x": ["u", "v", "w"], "y": [y, y, y]} for y in (2, 1, 4, 3)],
        ),
        (
            f"{SEABORN}sns.boxplot(t[:4], x='x', y='y')",
            "box",
            [
                {
                    "kind": "box",
                    "boxes": [
                        {
                            "label": x,
                            **dict.fromkeys(("low", "q1", "median", "q3", "high", "mean"), y),
                            "outliers": 0,
                        }
                        for x, y in (("1", 2), ("2", 1), ("3", 4), ("4", 3))
                    ],
                }
            ],
        ),
        (
            f"{SEABORN}sns.histplot(t.y, bins=3)",
            "histogram",
            [{"kind": "histogram", "x": [1.5, 2.5, 3.5], "y": [3, 3, 6]}],
        ),
        (
            f"{PLOTLY}px.bar(t[:3], x='k', y='y').show()",
            "bar",
            [{"kind": "bar", "x": ["u", "v", "w"], "y": [2, 1, 4]}],
        ),
        (
            f"{PLOTLY}px.bar(t[:4], x='x', y='y', color='k', barmode='group').show()",
            "grouped_bar",
            [
                {"kind": "bar", "name": "u", "x": ["1", "4"], "y": [2, 3]},
                {"kind": "bar", "name": "v", "x": ["2"], "y": [1]},
                {"kind": "bar", "name": "w", "x": ["3"], "y": [4]},
            ],
        ),
        (
            f"{PLOTLY}px.line(x=pd.date_range('2024-01-01', periods=2), y=[5, 6])",
            "line",
            [{"kind": "line", "x": ["2024-01-01", "2024-01-02"], "y": [5, 6]}],
        ),
        (
            f"{PLOTLY}px.scatter(t[:2], x='x', y='y').show()",
            "scatter",
            [{"kind": "scatter", "x": [1, 2], "y": [2, 1]}],
        ),
        (
            f"{PLOTLY}px.pie(names=['a', 'b', 'a'], values=[1, 2, 3]).show()",
            "pie",
            [{"kind": "pie", "x": ["a", "b"], "y": [4, 2]}],
        ),
        (
            f"{PLOTLY}go.Figure(go.Histogram(x=[1, 1, 2, 3], xbins=dict(start=0, end=4, size=2))).show()",
            "histogram",
            [{"kind": "histogram", "x": [1, 3], "y": [2, 2]}],
        ),
        (
            f"{PLOTLY}px.imshow([[1, 2], [3, 4]], x=['p', 'q'], y=['r', 's']).show()",
            "heatmap",
            [{"kind": "heatmap", "x": ["p", "q"], "y": ["r", "s"], "values": [[1, 2], [3, 4]]}],
        ),
        (f"{PLOTLY}px.area(x=[1, 2], y=[3, 4]).show()", "area", [{"kind": "area", "x": [1, 2], "y": [3, 4]}]),
        (
            f"{PLOTLY}px.box(t[:3], y='y').show()",
            "box",
            [
                {
                    "kind": "box",
                    "boxes": [
                        {
                            "label": 1,
                            "low": 1,
                            "q1": 1.5,
                            "median": 2,
                            "q3": 3,
                            "high": 4,
                            "outliers": 0,
                            "mean": pytest.approx(7 / 3),
                        }
                    ],
                }
            ],
        ),
    ],
)
async def test_kinds(data: Session, code: str, kind: str, told: list[dict[str, Any]]) -> None:
    assert await series(data, code) == (kind, told)


async def test_titles_axes_and_notes(data: Session) -> None:
    (chart,) = await charts(
        data,
        "fig, ax = plt.subplots(); ax.plot([1, 10], [1, 1000], label='a')\n"
        "ax.set(title='Growth', xlabel='Time [s]', ylabel='Mass (kg)', yscale='log')\n"
        "ax.annotate('peak', (10, 1000)); ax.legend(title='Kind'); fig.suptitle('عنوان')",
    )
    (axes,) = chart.axes
    assert (chart.title, axes.title) == ("عنوان", "Growth")
    assert axes.x is not None
    assert axes.y is not None
    assert (axes.x.label, axes.x.unit, axes.x.scale) == ("Time [s]", "s", "linear")
    assert (axes.y.label, axes.y.unit, axes.y.scale) == ("Mass (kg)", "kg", "log")
    assert "10^{2}" in axes.y.ticks
    assert (axes.legend, axes.legend_title, axes.annotations) == (["a"], "Kind", ["peak"])
    assert "x: Time [s]. y: Mass (kg) (log)" in chart.alt


async def test_several_axes(data: Session) -> None:
    (four,) = await charts(
        data,
        "f, a = plt.subplots(2, 2)\nfor n, one in enumerate(a.flat[:3]):\n  one.plot([n]); one.set_title(n)",
    )
    assert four.kind == "subplots"
    assert [axes.title for axes in four.axes[:3]] == ["0", "1", "2"]
    assert [axes.kind for axes in four.axes] == ["line", "line", "line", "empty"]
    (twin,) = await charts(
        data,
        "a = plt.subplots()[1]; a.plot([1, 2]); b = a.twinx(); b.bar([0, 1], [3, 4]); b.set_ylabel('R (%)')",
    )
    assert twin.kind == "twin_axes"
    assert [axes.twin_of for axes in twin.axes] == [None, 0]
    assert twin.axes[1].y is not None
    assert twin.axes[1].y.unit == "%"
    (facets,) = await charts(
        data, f"{SEABORN}sns.catplot(t, x='k', y='y', col='x', kind='bar', errorbar=None)"
    )
    assert [axes.series[0].x for axes in facets.axes] == [["u", "v", "w"]] * 4


async def test_a_colour_bar_is_no_axes(data: Session) -> None:
    (chart,) = await charts(data, "plt.colorbar(plt.imshow([[1, 2]]), label='Heat (K)')")
    (axes,) = chart.axes
    assert axes.color is not None
    assert (axes.color.label, axes.color.unit, axes.color.min, axes.color.max) == ("Heat (K)", "K", 1, 2)


async def test_what_is_long_is_told_in_part(data: Session) -> None:
    (chart,) = await charts(data, "plt.plot(np.arange(100_000), np.arange(100_000) ** 2)")
    (line,) = chart.axes[0].series
    assert (line.count, line.is_sampled, line.min, line.max) == (100_000, True, 0, 99_999**2)
    assert len(line.x) == len(line.y) == 100
    assert (line.x[0], line.x[-1], line.y[-1]) == (0, 99_999, 99_999**2)
    (grid,) = await charts(data, "plt.imshow(np.arange(1_000_000).reshape(1000, 1000))")
    (cells,) = grid.axes[0].series
    assert cells.shape == [1000, 1000]
    assert len(cells.values) * len(cells.values[0]) <= 400
    assert cells.values[-1][-1] == 999_999
    (many,) = await charts(data, "for n in range(60):\n  plt.plot(np.random.rand(200), label=f'name {n}')")
    assert len(json.dumps(many.model_dump(exclude_defaults=True))) < 2 * MAX_CHART_BYTES
    assert len(many.axes[0].series) == 40
    assert many.axes[0].series_left_out == 20
    (crowd,) = await charts(data, "f, a = plt.subplots(6, 6)\nfor one in a.flat:\n  one.plot(range(300))")
    assert len(crowd.axes) == 30
    assert crowd.axes_left_out == 6


async def test_the_lowest_and_the_highest_are_among_those_that_are_told(data: Session) -> None:
    (chart,) = await charts(data, "y = np.zeros(10_001); y[[777, 5003]] = [-8, 9]; plt.plot(y)")
    (line,) = chart.axes[0].series
    assert line.is_sampled
    told = dict(zip(line.x, line.y, strict=True))
    assert (told[777], told[5003]) == (-8, 9)
    assert "lowest -8 at 777, highest 9 at 5003" in chart.alt
    (bars,) = await charts(data, "plt.bar(range(301), [1] * 207 + [5] + [1] * 93, bottom=range(301))")
    (bar,) = bars.axes[0].series
    assert bar.y[bar.x.index(207)] == 5
    assert bar.base[bar.x.index(207)] == 207


async def test_groups_of_facets_have_the_names_of_their_one_legend(data: Session) -> None:
    (chart,) = await charts(data, f"{SEABORN}sns.relplot(data=t, x='x', y='y', col='k', hue='k')")
    names = [[one.name for one in axes.series] for axes in chart.axes]
    assert names == [["u"], ["v"], ["w"]]
    (boxes,) = await charts(data, f"{SEABORN}sns.boxplot(data=t, x='x', y='y', hue='k')")
    assert [one.name for one in boxes.axes[0].series] == ["u", "v", "w"]


async def test_what_is_drawn_in_parts(data: Session) -> None:
    kind, told = await series(
        data, "plt.fill_between(range(6), [1, 2, 3, 4, 5, 6], where=[1, 1, 0, 0, 1, 1])"
    )
    assert (kind, told) == ("area", [{"kind": "area", "x": [0, 1, 4, 5], "y": [1, 2, 5, 6]}])
    kind, told = await series(data, "plt.quiver([0, 1], [0, 1], [1, 1], [1, -1])")
    assert (kind, told) == ("other", [{"kind": "other", "name": "arrows"}])
    (chart,) = await charts(data, "plt.table([['a', 'b'], ['c', 'd']]); plt.axis('off')")
    assert (chart.kind, chart.axes[0].annotations) == ("other", ["a | b", "c | d"])
    (labelled,) = await charts(data, "plt.bar_label(plt.bar(['a', 'b'], [3, 7])); plt.text(0, 5, 'sold out')")
    assert labelled.axes[0].annotations == ["sold out"]


async def test_bars_that_begin_somewhere(data: Session) -> None:
    (chart,) = await charts(data, "plt.barh(['plan', 'make'], [3, 5], left=[0, 3])")
    assert "plan: 0 to 3, make: 3 to 8" in chart.alt
    code = (
        "days = pd.to_timedelta([3, 5], unit='D')\n"
        "plt.barh(['plan', 'make'], days, left=pd.to_datetime(['2024-01-01', '2024-01-04']))"
    )
    (dated,) = await charts(data, code)
    (bars,) = dated.axes[0].series
    assert (bars.base, bars.x) == (["2024-01-01", "2024-01-04"], [3, 5])
    assert "plan: 2024-01-01, 3 days" in dated.alt


async def test_stacked_areas_of_pandas(data: Session) -> None:
    (chart,) = await charts(data, "pd.DataFrame({'a': [1.0, 2, 3], 'b': [3.0, 2, 1]}).plot.area()")
    assert chart.kind == "area"
    assert chart.alt == "Area chart. area “a”: 0: 1, 1: 2, 2: 3. area “b”: 0: 3, 1: 2, 2: 1."


async def test_no_line_is_called_as_a_bar_is(data: Session) -> None:
    (chart,) = await charts(data, "plt.plot([1, 2]); plt.bar([0, 1], [2, 1], label='bars'); plt.legend()")
    assert {one.kind: one.name for one in chart.axes[0].series} == {"bar": "bars", "line": None}


async def test_times_are_of_the_zone_that_the_axis_shows(data: Session) -> None:
    code = "plt.plot(pd.date_range('2024-01-01 10:30', periods=2, freq='h', tz='Europe/Berlin'), [1, 2])"
    (chart,) = await charts(data, code)
    assert chart.axes[0].series[0].x == ["2024-01-01T10:30:00", "2024-01-01T11:30:00"]


async def test_parts_of_a_figure(data: Session) -> None:
    code = "f = plt.figure(); s, _ = f.subfigures(1, 2); s.subplots().plot([1])\n"
    (chart,) = await charts(data, f"{code}s.suptitle('left'); f.suptitle('all')")
    assert (chart.title, chart.annotations) == ("all", ["left"])
    (zoomed,) = await charts(
        data, "a = plt.gca(); a.plot([1, 2]); a.inset_axes([0, 0, 0.3, 0.3]).plot([5, 4])"
    )
    assert [axes.series[0].y for axes in zoomed.axes] == [[1, 2], [5, 4]]
    assert zoomed.kind == "subplots"


async def test_charts_that_are_closed_are_forgotten(data: Session) -> None:
    code = """
        import gc, weakref
        import matplotlib.pyplot as plt
        figure, axes = plt.subplots()
        axes.pie([1, 2]); axes.boxplot([1, 2]); axes.hist([1, 2]); axes.violinplot([1, 2])
        seen = weakref.ref(axes)
        plt.close(figure)
        del figure, axes
        gc.collect()
        print(seen())
    """
    result = await data.run(code)
    assert result.stdout == "None\n", result.stderr


async def test_three_directions(data: Session) -> None:
    code = "a = plt.figure().add_subplot(projection='3d'); a.scatter([1, 2], [3, 4], [5, 60])"
    (chart,) = await charts(data, code)
    (points,) = chart.axes[0].series
    assert (chart.kind, points.z, points.min, points.max) == ("3d", [5, 60], 5, 60)


async def test_the_extremes_of_much_need_little_memory(data: Session) -> None:
    """As floats it would take three gigabytes, and the session has one."""
    code = f"""{BEGIN}
from belljar.guest import scales
z = np.zeros((20_000, 20_000), np.uint8)
z[7, 9] = 200
print(scales.extremes(z))
del z
"""
    result = await data.run(code, timeout=60)
    assert result.stdout == "{'min': 0, 'max': 200}\n", result.stderr


async def test_what_is_no_number(data: Session) -> None:
    (chart,) = await charts(data, "plt.plot([1, 2, 3], [1, float('nan'), float('inf')])")
    assert chart.axes[0].series[0].y == [1, None, None]
    assert await charts(data, "plt.plot([], []); plt.bar([], []); plt.scatter([], [])")


async def test_the_facts_are_of_the_picture_and_not_of_what_was_drawn_first(data: Session) -> None:
    (chart,) = await charts(
        data,
        "plt.boxplot([[1, 2, 3]]); plt.hist([1, 2]); plt.pie([1]); plt.cla(); plt.bar(['a'], [1])[0].set_height(7)",
    )
    assert [(one.kind, one.y) for one in chart.axes[0].series] == [("bar", [7])]


async def test_plotly(data: Session) -> None:
    result = await data.run(
        f"{BEGIN}{PLOTLY}f = px.bar(t[:3], x='k', y='y', title='<b>Bars</b>')\nf.show(); f.show()\n"
        "px.scatter_3d(x=[1], y=[2], z=[3]).show()\n"
        "for write in (f.write_image, f.to_image):\n"
        "    try: write('x.png')\n"
        "    except RuntimeError as error: print(error)\n"
        "f",
        timeout=60,
    )
    assert result.outcome.status == "completed", result.stderr
    assert result.stdout.count("fig.write_html('chart.html')") == 2
    first, second, last = [event for event in result.outputs if isinstance(event, results.Display)]
    assert first.chart is not None
    assert (first.chart.library, first.chart.is_rendition, first.chart.title) == ("plotly", True, "Bars")
    assert (
        json.loads(first.data["application/vnd.plotly.v1+json"])["layout"]["title"]["text"] == "<b>Bars</b>"
    )
    assert "rendition" in first.chart.alt
    assert second.chart is not None
    assert "image/png" not in second.data  # nothing here could draw it
    assert "scatter3d" in second.chart.alt
    said = results.text_of(second)
    assert said.startswith("plotly figure: 1 scatter3d. There is no picture of it: plotly draws in a browser")
    assert "fig.write_html('chart.html') saves it as a page" in said
    assert second.chart.id is None
    assert last.data == {"text/plain": "plotly figure “Bars”: 1 bar".encode()}


async def test_a_picture_of_a_part_of_a_plotly_figure_says_what_it_lacks(data: Session) -> None:
    words = await data.says(
        "import plotly.graph_objects as go\nfrom belljar.guest import rendition\n"
        "parts = [go.Scatter3d(x=[1], y=[2], z=[3]), go.Bar(x=[1], y=[2]), go.Mesh3d(visible=False)]\n"
        "print(rendition.drawn_from(go.Figure(parts)).texts[-1].get_text())"
    )
    assert words.strip() == "drawn from the data of a plotly figure, without scatter3d"


async def test_plotly_stacks_shares_axes_and_draws_very_many_points(data: Session) -> None:
    (bars,) = await charts(data, f"{PLOTLY}px.bar(x=[1, 2, 3], y=['a', 'b', 'a'], orientation='h').show()")
    (one,) = bars.axes[0].series
    assert (one.x, one.y, one.base) == ([1, 2, 3], ["a", "b", "a"], [0, 0, 1])
    (dense,) = await charts(
        data, f"{PLOTLY}px.bar(x=[*range(80)] * 2, y=[1] * 160, color=['p'] * 80 + ['q'] * 80).show()"
    )
    assert dense.kind == "stacked_bar"
    assert dense.axes[0].series[1].x[:3] == [0, 1, 2]
    (facets,) = await charts(
        data, f"{PLOTLY}px.scatter(t, x='x', y='y', facet_col='k', range_x=[0, 9]).show()"
    )
    assert [axes.title for axes in facets.axes] == ["k=u", "k=v", "k=w"]
    assert {(axes.x.min, axes.x.max) for axes in facets.axes if axes.x} == {(0, 9)}
    assert facets.annotations == []
    code = "go.Figure(go.Scattergl(x=np.arange(300_000), y=np.arange(300_000), mode='markers')).show()"
    (many,) = await charts(data, PLOTLY + code)
    assert (many.kind, many.axes[0].series[0].count) == ("scatter", 300_000)


async def test_plotly_figures_that_are_equal_are_several(data: Session) -> None:
    found = await charts(data, f"{PLOTLY}for _ in range(3): px.bar(x=[1], y=[2]).show()")
    assert len({chart.id for chart in found}) == 3


async def test_pictures_of_pillow(data: Session) -> None:
    result = await data.run(
        "from PIL import Image\nImage.new('CMYK', (9000, 30)).show()\nImage.new('F', (20, 10))", timeout=60
    )
    assert result.outcome.status == "completed", result.stderr
    shown = [event for event in result.outputs if isinstance(event, results.Display)]
    assert [event.type for event in shown] == ["display_data", "execute_result"]
    widths = [int.from_bytes(event.data["image/png"][16:20], "big") for event in shown]
    assert widths == [4096, 20]


async def test_what_is_no_chart_stays_outside(data: Session) -> None:
    """The guest can say what it likes: what is no chart is dropped, and the picture stands alone."""
    forged = [
        b"", b"{}", b"[]", b"nonsense", b'{"library": "matplotlib", "kind": "hologram"}', b"\xff\xfe",
        b'{"library": "matplotlib", "kind": "bar", "id": "../../etc"}',
        b'{"library": "matplotlib", "kind": "bar", "width": 1e999}',
        b'{"library": "matplotlib", "kind": "bar", "axes": [' + b'{"kind": "bar"},' * 99 + b'{"kind": "bar"}]}',
        b'{"library": "matplotlib", "kind": "bar", "title": "' + b"x" * MAX_CHART_BYTES + b'"}',
    ]  # fmt: skip
    code = f"""
        import sys
        from belljar.guest import display
        for body in {forged!r}:
            display.emit("display_data", {{"image/png": b"p", "application/vnd.belljar.chart+json": body}})
    """
    result = await data.run(code)
    assert result.outcome.status == "completed", result.stderr
    shown = [event for event in result.outputs if isinstance(event, results.Display)]
    assert [(event.data, event.chart) for event in shown] == [({"image/png": b"p"}, None)] * len(forged)


async def test_one_word_for_a_file_of_many_names(data: Session) -> None:
    code = """
        import os
        from belljar.guest import display
        open("a.png", "wb").write(b"x")
        for n in range(900):
            os.link("a.png", f"b{n}.png")
        words = b'{"library": "matplotlib", "kind": "bar", "axes": [' + b'{"kind": "bar"},' * 40
        display.tell_of_file(os.stat("a.png").st_ino, words + b'{"kind": "bar"}]}')
    """
    result = await data.run(code)
    assert result.outcome.status == "completed", result.stderr
    assert [file.path for file in result.files if file.chart] == ["a.png"]
    assert len(result.files) == 901
    await data.run("import glob, os\nfor name in glob.glob('*.png'): os.unlink(name)")


async def test_a_flood_of_words_on_files(data: Session) -> None:
    code = """
        import os
        from belljar.guest import display
        open("real.png", "wb").write(b"x")
        good = b'{"library": "matplotlib", "kind": "bar"}'
        for n in range(3000):
            display.tell_of_file(10**9 + n, b"x" * 2000)
        display.tell_of_file(os.stat("real.png").st_ino, good)
    """
    result = await data.run(code)
    assert result.outcome.status == "completed", result.stderr
    (file,) = result.files
    assert file.chart is None  # it came too late
    assert (await data.run("print(1)")).stdout == "1\n"
