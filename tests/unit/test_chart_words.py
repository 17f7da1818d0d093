"""What a guest says of a chart, as its reader takes it: the shape, the bounds, and the words that are made of it."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from belljar.records import MAX_CHART_BYTES
from belljar.wire.charts import (
    MOST_ALT,
    AxesKind,
    Chart,
    ChartsRequest,
    DrawingRequest,
    SeriesKind,
    alt_text,
    read,
    written,
)

BARS: dict[str, Any] = {
    "id": "chart_0123abcd_7",
    "library": "matplotlib",
    "kind": "bar",
    "title": "Sales",
    "axes": [
        {
            "kind": "bar",
            "y": {"label": "EUR", "scale": "log"},
            "series": [{"kind": "bar", "name": "sold", "x": ["a", "b"], "y": [1, 2.5], "count": 2}],
        }
    ],
}


def chart(**more: Any) -> Chart | None:
    return read(json.dumps({**BARS, **more}))


def test_a_chart_and_its_words() -> None:
    found = chart()
    assert found is not None
    assert found.alt == "Bar chart “Sales”. y: EUR (log). bar “sold”: a: 1, b: 2.5."
    assert read(written(found)) == found
    assert found.axes[0].series[0].y == [1, 2.5]


@pytest.mark.parametrize(
    "more",
    [
        {"id": "chart_0123abcd_0"},
        {"id": "chart_0123ABCD_1"},
        {"id": 7},
        {"library": "ggplot"},
        {"kind": ["bar"]},
        {"kind": "subplot"},
        {"title": "x" * 401},
        {"title": 3},
        {"axes": [BARS["axes"][0]] * 51},
        {"axes": {}},
        {"width": -1},
        {"width": "640"},
        {"width": 1.5},
        {"axes": [{"kind": "bar", "series": [{"kind": "bar", "y": [0] * 501}]}]},
        {"axes": [{"kind": "bar", "series": [{"kind": "bar", "y": [[1]]}]}]},
        {"axes": [{"kind": "bar", "series": [{"kind": "bar", "y": [True]}]}]},
        {"annotations": ["x"] * 101},
    ],
)
def test_what_is_no_chart(more: dict[str, Any]) -> None:
    assert chart(**more) is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        "",
        "null",
        "[]",
        b"\xff",
        '{"library": "matplotlib"}',
        "[" * 5000,
        " " * (MAX_CHART_BYTES + 1),
    ],
)
def test_what_is_no_document(body: Any) -> None:
    assert read(body) is None


def test_numbers_that_are_none() -> None:
    body = json.dumps(BARS).replace("2.5", "1e999")
    assert read(body) is None
    assert read(json.dumps(BARS).replace("2.5", "NaN")) is None
    assert read(json.dumps(BARS).replace("2.5", "9" * 4000)) is None
    found = read(json.dumps(BARS).replace("2.5", "9" * 30))
    assert found is not None
    assert found.alt.endswith("b: 1e+30.")
    assert chart(unknown="field", axes=[{"kind": "bar", "more": [1]}]) is not None


def test_words_are_bounded_and_of_one_line() -> None:
    axes = {
        "kind": "line",
        "title": "two\nlines\x1b[31m",
        "series": [{"kind": "line", "name": f"series {n} " + "x" * 80, "count": 10**6} for n in range(12)],
    }
    found = chart(kind="subplots", axes=[axes] * 30, axes_left_out=4)
    assert found is not None
    assert len(found.alt) <= MOST_ALT
    assert found.alt.isprintable()


def test_words_for_those_who_cannot_see() -> None:
    found = chart(
        kind="pie",
        axes=[
            {"kind": "pie", "series": [{"kind": "pie", "x": ["a"], "y": [3], "shares": [0.25], "count": 1}]}
        ],
    )
    assert found is not None
    assert "a: 3 (25.0%)" in found.alt
    boxes = [{"label": "u", "median": 2, "q1": 1, "q3": 3, "outliers": 2}]
    found = chart(kind="box", axes=[{"kind": "box", "series": [{"kind": "box", "boxes": boxes}]}])
    assert found is not None
    assert "u median 2, q1 1, q3 3, 2 outliers" in found.alt
    line = {"kind": "line", "x": [1, 9], "y": [5, 6], "count": 100, "min": 4, "max": 8, "is_sampled": True}
    found = chart(kind="line", axes=[{"kind": "line", "series": [line]}])
    assert found is not None
    assert "100 points from 1 to 9, values 4 to 8, first 5, last 6" in found.alt
    wide = {"kind": "bar", "x": [5], "y": ["a"], "is_horizontal": True, "count": 1}
    found = chart(axes=[{"kind": "bar", "series": [wide]}])
    assert found is not None
    assert "bar: a: 5" in found.alt


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["kind", "x", "y", "series", "boxes", "axes", "count"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(_JSON, _JSON, _JSON)
def test_anything_may_be_said(axes: Any, title: Any, legend: Any) -> None:
    body = json.dumps({**BARS, "axes": axes, "title": title, "legend": legend})
    found = read(body)
    if found is not None:
        assert len(alt_text(found)) <= MOST_ALT
        assert read(written(found)) == found


_numbers = st.lists(
    st.none() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False), max_size=4
)
_values = _numbers | st.lists(st.text(max_size=3), max_size=4)
_series = st.fixed_dictionaries(
    {"kind": st.sampled_from(get_args(SeriesKind))},
    optional={
        "x": _values,
        "y": _values,
        "z": _numbers,
        "base": _numbers,
        "shares": _numbers,
        "values": st.lists(_numbers, max_size=4),
        "shape": st.lists(st.integers(0, 4), max_size=3),
        "boxes": st.lists(st.fixed_dictionaries({"low": st.none() | st.integers()}), max_size=2),
        "count": st.integers(0, 20),
        "is_horizontal": st.booleans(),
        "is_sampled": st.booleans(),
        "min": st.integers(-9, 9),
        "max": st.integers(-9, 9),
    },
)


@given(st.lists(_series, max_size=3), st.sampled_from(get_args(AxesKind)))
def test_columns_that_do_not_agree(series: list[Any], kind: str) -> None:
    found = chart(axes=[{"kind": kind, "series": series}])
    if found is not None:
        assert found.alt.isprintable()


def words(kind: str, series: dict[str, Any], **more: Any) -> str:
    found = chart(title=None, kind=kind, axes=[{"kind": kind, "series": [series], **more}])
    assert found is not None
    return found.alt


def test_the_lowest_and_the_highest_have_places() -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 21)]
    line = {"kind": "line", "x": days, "y": list(range(20)), "count": 20, "min": 0, "max": 19}
    assert "line: 20 points from 2024-01-01 to 2024-01-20, lowest 0 at 2024-01-01, highest 19 at" in words(
        "line", line
    )
    bars = {"kind": "bar", "y": days, "x": list(range(20)), "count": 20, "min": 0, "max": 19}
    assert "bar: 20 bars from 2024-01-01 to 2024-01-20, lowest 0" in words(
        "bar", {**bars, "is_horizontal": True}
    )
    assert "1 bin," in words("histogram", {"kind": "histogram", "count": 1, "min": 0, "max": 1})


def test_grids_bands_and_what_has_three_directions() -> None:
    cells = {
        "kind": "heatmap",
        "x": ["a", "b"],
        "y": ["u"],
        "values": [[1, None]],
        "shape": [1, 2],
        "min": 1,
        "max": 1,
    }
    assert words("heatmap", cells) == "Heat map. heatmap: 1 rows, 2 columns, values 1 to 1; u: a 1, b none."
    side = list(range(8))
    large = {
        "kind": "heatmap",
        "x": side,
        "y": side,
        "values": [side] * 8,
        "shape": [8, 8],
        "min": 0,
        "max": 7,
    }
    assert "lowest at x 0, y 0, highest at x 7, y 0" in words("heatmap", large)
    assert "highest" not in words("heatmap", {**large, "is_sampled": True})
    band = {"kind": "area", "x": [1, 2], "y": [2, 2], "base": [1, 5], "count": 2, "min": 2, "max": 2}
    assert words("line", band) == "Line chart. band: 1: 1 to 3, 2: 5 to 7."
    assert words("area", band) == "Area chart. area: 1: 2, 2: 2."
    solid = {"kind": "scatter", "x": [1], "y": [2], "z": [3], "count": 1}
    assert words("3d", solid, z={"label": "depth", "min": 0, "max": 9}) == (
        "3D chart. z: depth from 0 to 9. scatter: (1, 2, 3)."
    )


def test_titles_notes_and_letters_that_join() -> None:
    found = chart(
        kind="twin_axes", axes=[{"kind": "bar", "title": "Sales"}, {"kind": "line"}], annotations=["mind"]
    )
    assert found is not None
    assert found.alt == (
        "Chart of two axes upon one another “Sales”. (1) Bar chart. (2) Line chart. Notes: mind."
    )
    joined = chart(title="می\u200cخواهم\u202e!")
    assert joined is not None
    assert "“می\u200cخواهم !”" in joined.alt


def test_how_charts_are_asked_for() -> None:
    assert ChartsRequest().formats == ["png"]
    assert ChartsRequest(width=600.0).width == 600  # type: ignore[arg-type]
    for wrong in ({"formats": []}, {"formats": ["png", "png"]}, {"dpi": 9}, {"width": 49}, {"height": 6001}):
        with pytest.raises(ValidationError):
            ChartsRequest.model_validate(wrong)
    with pytest.raises(ValidationError):
        DrawingRequest.model_validate({"formats": ["png"]})
