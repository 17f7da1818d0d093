"""Charts over HTTP: their facts, and the same chart again in another size or format."""

from __future__ import annotations

import base64
import json
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import TOOL, Model, Server, serving

DRAW = """
import matplotlib.pyplot as plt
plt.bar(["Jan", "Feb", "März"], [10, 20.5, 15], label="sold")
plt.title("Sales by month")
plt.ylabel("Sales (EUR)")
"""
CHART = "application/vnd.belljar.chart+json"
ASK: dict[str, Any] = {
    "model": "m",
    "max_tokens": 100,
    "tools": [TOOL],
    "messages": [{"role": "user", "content": "draw"}],
}


def run(http: httpx2.Client, code: str, **more: Any) -> dict[str, Any]:
    answer = http.post("/v1/executions", json={"code": code, **more})
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    assert done["outcome"]["status"] == "completed", done["stderr"]
    return done


def displays(done: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for output in done["outputs"] if output["type"] in {"display_data", "execute_result"}]


def shown(done: dict[str, Any]) -> dict[str, Any]:
    """The one chart of a result, as data."""
    (chart,) = [json.loads(o["data"][CHART]) for o in displays(done) if CHART in o["data"]]
    return dict(chart)


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.fixture
def container(http: httpx2.Client) -> Iterator[str]:
    made = http.post("/v1/containers", json={}).json()["id"]
    yield made
    http.delete(f"/v1/containers/{made}")


def again(http: httpx2.Client, container: str, chart: str, **asked: Any) -> httpx2.Response:
    return http.post(f"/v1/containers/{container}/charts/{chart}", json=asked)


def test_a_chart_comes_with_what_it_shows(http: httpx2.Client) -> None:
    chart = shown(run(http, DRAW + "plt.show()"))
    assert (chart["library"], chart["kind"], chart["title"]) == ("matplotlib", "bar", "Sales by month")
    (axes,) = chart["axes"]
    assert (axes["y"]["label"], axes["y"]["unit"]) == ("Sales (EUR)", "EUR")
    (series,) = axes["series"]
    assert (series["name"], series["x"], series["y"]) == ("sold", ["Jan", "Feb", "März"], [10, 20.5, 15])
    assert chart["alt"].startswith("Bar chart “Sales by month”.")
    assert "Jan: 10, Feb: 20.5, März: 15" in chart["alt"]


def test_a_saved_chart_says_so_in_its_file(http: httpx2.Client) -> None:
    done = run(http, DRAW + "plt.savefig('sales.png')\nopen('other.txt', 'w').write('x')")
    facts = {file["filename"]: file["chart"] for file in done["files"]}
    assert facts["other.txt"] is None
    assert facts["sales.png"]["axes"][0]["series"][0]["y"] == [10, 20.5, 15]
    assert displays(done)[-1]["type"] == "execute_result"
    assert not any(CHART in output["data"] for output in displays(done))


def test_a_chart_again_in_other_formats_and_sizes(http: httpx2.Client, container: str) -> None:
    chart = shown(run(http, DRAW, container=container))["id"]
    run(http, "plt.plot([3, 2, 1]); plt.title('another')", container=container)
    drawn = again(http, container, chart)
    assert drawn.headers["content-type"] == "image/png"
    assert drawn.headers["content-security-policy"].startswith("sandbox")
    usual = size(drawn.content)
    assert size(again(http, container, chart, width=1200, height=500).content) == (1200, 500)
    assert size(again(http, container, chart, width=320).content) == (320, 240)
    double = size(again(http, container, chart, dpi=200).content)
    assert abs(double[0] - 2 * usual[0]) <= 4
    svg = again(http, container, chart, format="svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in svg.content
    assert b"Sales by month" in svg.content  # as a comment beside the paths
    pdf = again(http, container, chart, format="pdf", width=800)
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert run(http, "plt.get_fignums()", container=container)["outputs"][0]["data"]["text/plain"] == "[]"


def test_the_command(http: httpx2.Client, server: Server, container: str, tmp_path: Path) -> None:
    chart = shown(run(http, DRAW, container=container))["id"]
    command = Path(sys.executable).with_name("belljar")

    def belljar(*more: str, url: str = server.url) -> subprocess.CompletedProcess[bytes]:
        asked = [command, "chart", container, *more, "--server", url]
        return subprocess.run(asked, cwd=tmp_path, capture_output=True, timeout=60)

    assert belljar(chart, "--width", "640", "--height", "200").stderr.strip().endswith(b".png")
    assert size((tmp_path / f"{chart}.png").read_bytes()) == (640, 200)
    assert b"File exists" in belljar(chart).stderr
    assert belljar(chart, "--format", "pdf", "-o", "-").stdout.startswith(b"%PDF-")
    assert belljar(chart, "--format", "svg", "--dpi", "72", "-o", "a.svg").returncode == 0
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    for failed, code, said in (
        (belljar("chart_00000000_1"), 4, b"has drawn no chart"),
        (belljar(chart, "--dpi", "5"), 125, b"--dpi"),
        (belljar(chart, url="http://127.0.0.1:9"), 3, b"is it running"),
        (belljar(chart, url="nowhere"), 3, b"write http://nowhere"),
    ):
        assert failed.returncode == code
        assert said in failed.stderr
        assert len(failed.stderr.splitlines()) == 1


def test_a_chart_is_as_it_was_when_it_was_shown(http: httpx2.Client, container: str) -> None:
    code = DRAW + "figure = plt.gcf()\nfigure.show()\nplt.title('Later')\nfigure.show()"
    first, second = [json.loads(o["data"][CHART]) for o in displays(run(http, code, container=container))]
    assert (first["title"], second["title"]) == ("Sales by month", "Later")
    assert first["id"] != second["id"]
    assert b"Sales by month" in again(http, container, first["id"], format="svg").content
    assert b"Later" in again(http, container, second["id"], format="svg").content


def test_what_cannot_be_copied_is_drawn_as_it_is(http: httpx2.Client, container: str) -> None:
    code = "from matplotlib.ticker import FuncFormatter\nax = plt.gca()\n"
    code += "ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f'{v:.0f} apples'))"
    chart = shown(run(http, DRAW + code, container=container))
    assert "20 apples" in chart["axes"][0]["y"]["ticks"]
    assert size(again(http, container, chart["id"], width=400, height=300).content) == (400, 300)


def test_charts_that_are_not_there(http: httpx2.Client, container: str) -> None:
    chart = shown(run(http, DRAW, container=container))["id"]
    prefix = chart.rpartition("_")[0]
    for unknown in (f"{prefix}_999", "chart_00000000_1", "chart_x", "%2e"):
        missing = again(http, container, unknown)
        assert missing.status_code == 404, unknown
        assert "run the code again" in missing.json()["error"]["message"]
    run(http, "for n in range(20):\n    plt.plot([n])\n    plt.show()", container=container)
    gone = again(http, container, chart)
    assert gone.status_code == 410
    assert gone.json()["error"]["type"] == "not_found_error"
    assert gone.json()["error"]["details"] == {"error_code": "chart_forgotten"}
    assert again(http, "container_none", chart).status_code == 404
    huge = shown(run(http, "import numpy as np\nplt.plot(np.random.rand(2_000_000))", container=container))
    assert huge["axes"][0]["series"][0]["count"] == 2_000_000
    assert again(http, container, huge["id"]).status_code == 410  # too large to be kept
    # Another interpreter, with the same files.
    lost = http.post("/v1/executions", json={"code": "import os; os._exit(3)", "container": container}).json()
    assert lost["outcome"]["status"] == "exited"
    assert again(http, container, f"{prefix}_21").status_code == 404


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"format": "gif"}, "format"),
        ({"dpi": 5}, "dpi"),
        ({"width": 20}, "width"),
        ({"height": 60000}, "height"),
        ({"width": "100"}, "width"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_asked_for(
    http: httpx2.Client, container: str, asked: dict[str, Any], path: str
) -> None:
    refused = again(http, container, "chart_00000000_1", **asked)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith(path)


def test_too_many_pixels_do_not_end_the_interpreter(http: httpx2.Client, container: str) -> None:
    chart = shown(run(http, "kept = 1\n" + DRAW + "plt.gcf().set_size_inches(20, 20)", container=container))
    refused = again(http, container, chart["id"], dpi=600)
    assert refused.status_code == 400
    assert "ask for a smaller dpi" in refused.json()["error"]["message"]
    assert run(http, "kept", container=container)["outputs"][0]["data"]["text/plain"] == "1"


def test_formats_that_are_asked_for_ahead(http: httpx2.Client) -> None:
    asked = {"formats": ["svg", "png"], "dpi": 50, "width": 300, "height": 200}
    code = DRAW + "plt.savefig('sales.png')\nplt.close()\nplt.plot([1])\nplt.show()"
    done = run(http, code, charts=asked)
    assert len(displays(done)) == 2  # also the one that the code has saved, and closed
    for output in displays(done):
        assert "<svg" in output["data"]["image/svg+xml"]
        assert size(base64.b64decode(output["data"]["image/png"])) == (300, 200)
        assert json.loads(output["data"][CHART])["axes"][0]["series"][0]["y"]
    only = run(http, DRAW, charts={"formats": ["pdf"]})
    (output,) = [output for output in displays(only) if CHART in output["data"]]
    assert base64.b64decode(output["data"]["application/pdf"]).startswith(b"%PDF-")
    assert "image/png" not in output["data"]
    for wrong in ({"formats": []}, {"formats": ["png", "png"]}, {"formats": ["tiff"]}, {"width": 7000}):
        refused = http.post("/v1/executions", json={"code": "1", "charts": wrong})
        assert refused.status_code == 400
        assert refused.json()["error"]["message"].startswith("charts")


def test_a_drawing_that_is_too_large_is_left_out(http: httpx2.Client) -> None:
    code = (
        "import numpy as np, matplotlib.pyplot as plt\nplt.scatter(*np.random.rand(2, 150_000))\nplt.show()"
    )
    done = run(http, code, charts={"formats": ["svg", "png"]}, timeout_seconds=60)
    (output,) = displays(done)
    assert "image/svg+xml" not in output["data"]
    assert base64.b64decode(output["data"]["image/png"]).startswith(b"\x89PNG")
    assert "A chart is left out as svg" in done["stderr"]


def test_the_model_reads_the_chart_and_sees_it(http: httpx2.Client, model: Model) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "code_execution", "input": {"code": DRAW}}
    model.play([use], [{"type": "text", "text": "done"}])
    answer = http.post("/v1/messages", json=ASK)
    assert answer.status_code == 200, answer.text
    told = model.requests[-1]["messages"][-1]["content"][0]["content"]
    kinds = [block["type"] for block in told]
    assert kinds.count("image") == 1
    assert "The chart, by its data: Bar chart “Sales by month”." in told[1]["text"]
    (picture,) = [
        block for block in answer.json()["content"] if block.get("output", {}).get("type") == "image"
    ]
    assert picture["output"]["alt"].startswith("Bar chart “Sales by month”.")
    container, chart = answer.json()["container"]["id"], picture["output"]["chart_id"]
    assert b"<svg" in again(http, container, chart, format="svg").content
    # What it has sent comes back with the next request.
    history = [*ASK["messages"], {"role": "assistant", "content": answer.json()["content"]}]
    model.play([{"type": "text", "text": "yes"}])
    more = {**ASK, "messages": [*history, {"role": "user", "content": "good?"}]}
    assert http.post("/v1/messages", json=more).status_code == 200


def test_a_picture_that_was_shown_and_saved_is_seen_once(http: httpx2.Client, model: Model) -> None:
    code = DRAW + "figure = plt.gcf()\nfigure.show()\nfigure.savefig('sales.png', dpi=50)"
    use = {"type": "tool_use", "id": "toolu_1", "name": "code_execution", "input": {"code": code}}
    model.play([use], [{"type": "text", "text": "done"}])
    blocks = http.post("/v1/messages", json=ASK).json()["content"]
    told = model.requests[-1]["messages"][-1]["content"][0]["content"]
    assert [block["type"] for block in told].count("image") == 1
    (text,) = [block for block in blocks if block.get("output", {}).get("type") == "text"]
    assert [file["filename"] for file in text["files"]] == ["sales.png"]


def test_a_container_that_sleeps(tmp_path: Path, the_model: Model) -> None:
    settings = {"upstream": f"anthropic:{the_model.url}", "max_sessions": 1}
    with serving(tmp_path, **settings) as server, httpx2.Client(base_url=server.url, timeout=60) as http:
        container = http.post("/v1/containers", json={}).json()["id"]
        chart = shown(run(http, DRAW, container=container))["id"]
        run(http, "1")  # takes its place
        assert http.get(f"/v1/containers/{container}").json()["state"] == "asleep"
        refused = again(http, container, chart)
        assert refused.status_code == 409
        assert refused.headers["x-should-retry"] == "false"
        assert refused.json()["error"]["type"] == "conflict_error"
        assert re.search("Run the code that draws it again", refused.json()["error"]["message"])
        assert http.get(f"/v1/containers/{container}").json()["state"] == "asleep"
        assert run(http, "2", container=container)["restored"] is True
        assert again(http, container, chart).status_code == 404
