"""The examples, run as a user runs them, against a server whose model's part is played from scripted.toml.

What they print is compared with numbers that are computed here, by other means.
"""

from __future__ import annotations

import csv
import importlib
import io
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import textwrap
import tomllib
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = EXAMPLES / "scripted.toml"
NAMES = (
    "standard_deviation",
    "loan",
    "csv_document",
    "monthly_chart",
    "json_to_csv",
    "text_analysis",
    "portfolio",
    "messy_contacts",
)
DEADLINE_SECONDS = 180

Run = Callable[..., str]


@pytest.fixture(scope="module")
def module() -> Iterator[Callable[[str], ModuleType]]:
    """Import a file of the examples by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module


@pytest.fixture(scope="module")
def server(module: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    scratch = tmp_path_factory.mktemp("server")
    with module("demo").serve(f"scripted:{SCRIPT}", scratch / "state", scratch / "server.log") as url:
        yield url


def environment(**more: str) -> dict[str, str]:
    """The caller's environment without what would change where an example sends its request."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "BELLJAR_"))
    }
    return kept | {"NO_PROXY": "127.0.0.1"} | more


@pytest.fixture
def run(server: str, tmp_path: Path) -> Run:
    """Run an example in a process of its own, in an empty directory. Returns what it printed."""

    def run(name: str, **more: str) -> str:
        finished = subprocess.run(
            [sys.executable, EXAMPLES / f"{name}.py"],
            env=environment(ANTHROPIC_BASE_URL=server, **more),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        assert finished.returncode == 0, finished.stderr
        assert finished.stderr == ""
        return finished.stdout

    return run


def results(printed: str) -> list[str]:
    """What the executions printed, one after the other."""
    assert "--- Error" not in printed
    indented = re.findall(r"^--- Result\n((?:  .*\n|\n)+)", printed, re.MULTILINE)
    return [textwrap.dedent(result).strip("\n") for result in indented]


def only_result(printed: str) -> str:
    (result,) = results(printed)
    return result


def amounts(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"\$ *([\d,]+\.\d\d)", text)]


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from the header of a PNG (its first chunk is IHDR, its last IEND)."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    assert data.endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", data[16:24])


def assert_chart(path: Path) -> None:
    width, height = png_size(path)
    assert 600 <= width <= 4000
    assert 300 <= height <= 3000
    assert path.stat().st_size > 10_000, "an empty figure is smaller than that"


def test_standard_deviation(run: Run) -> None:
    printed = run("standard_deviation")
    assert only_result(printed) == "Standard deviation: 13.4907"
    assert f"{statistics.stdev([4, 8, 15, 16, 23, 42]):.4f}" == "13.4907"
    assert printed.count("13.4907") == 2, "the answer's text repeats the result"


def test_loan(run: Run) -> None:
    growth = (1 + 0.045 / 12) ** 300
    payment = 500_000 * 0.045 / 12 * growth / (growth - 1)
    expected = [payment, payment * 300, payment * 300 - 500_000]
    assert amounts(only_result(run("loan"))) == pytest.approx(expected, abs=0.005)


def test_csv_document(run: Run, module: Callable[[str], ModuleType]) -> None:
    rows = list(csv.DictReader(io.StringIO(module("csv_document").EMPLOYEES.decode())))
    result = only_result(run("csv_document"))
    for column in ("age", "salary"):
        values = [float(row[column]) for row in rows]
        (line,) = re.findall(rf"^{column} +(.+)$", result, re.MULTILINE)
        expected = [statistics.mean(values), statistics.median(values), max(values), min(values)]
        assert [float(number.replace(",", "")) for number in line.split()] == expected


def test_monthly_chart(run: Run, tmp_path: Path) -> None:
    printed = run("monthly_chart")
    assert "375,000" in only_result(printed)
    assert "[Chart saved: demo-output/monthly_chart.png]" in printed
    assert_chart(tmp_path / "demo-output" / "monthly_chart.png")


def test_json_to_csv(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(only_result(run("json_to_csv")))))
    assert [row["product"] for row in rows] == ["Coffee", "Tea", "Juice"]
    assert [int(row["Total"]) for row in rows] == [15 * 100, 10 * 200, 20 * 75]
    assert all(int(row["price"]) * int(row["quantity"]) == int(row["Total"]) for row in rows)


def test_text_analysis(run: Run, module: Callable[[str], ModuleType], tmp_path: Path) -> None:
    text = module("text_analysis").PROMPT.partition("\n\n")[2]
    words = [word.strip(".").lower() for word in text.split()]
    counts, lengths = results(run("text_analysis"))
    assert counts.startswith(f"Word count: {len(words)} ")
    top = dict(re.findall(r"^ +(\w+) +(\d+)$", counts, re.MULTILINE))
    assert {word: int(count) for word, count in top.items()} == dict(Counter(words).most_common(10))
    sentences = [len(sentence.split()) for sentence in text.split(".") if sentence]
    assert f"Words in each sentence: {', '.join(map(str, sentences))}\n" in lengths
    assert_chart(tmp_path / "demo-output" / "text_analysis.png")


def test_portfolio_and_the_plain_loop(run: Run, tmp_path: Path) -> None:
    printed = run("portfolio")
    result = only_result(printed.partition("The same answer")[0])
    assert "Weighted return: 7.70% " in result
    expected = []
    for years in (0, 5, 10):
        untouched = 10_000 * 1.08**years + 15_000 * 1.12**years + 25_000 * 1.05**years
        expected += [untouched, 50_000 * 1.077**years]
    assert amounts(result) == pytest.approx(expected, abs=0.005)
    assert_chart(tmp_path / "demo-output" / "portfolio.png")
    loop = printed.partition("The same answer through a plain loop over its blocks:\n")[2].splitlines()
    assert [line for line in loop if line.startswith("Result: ")] == ["Result: Weighted return: 7.70% a year"]
    assert loop.count("[Chart generated]") == 1
    assert "None" not in loop


def test_messy_contacts(run: Run) -> None:
    assert list(csv.reader(io.StringIO(only_result(run("messy_contacts"))))) == [
        ["Name", "Email", "Phone", "Date"],
        ["Ahmed", "ahmed@gmail.com", "+966501234567", "2024-01-15"],
        ["Sara", "sara@yahoo.com", "+966501234567", "2024-01-15"],
        ["Mohamed", "mohamed@hotmail.com", "+966501234567", "2024-01-15"],
    ]


def test_official_blocks_are_shown_as_well(run: Run, tmp_path: Path) -> None:
    official = "belljar-profile: anthropic"
    printed = run("standard_deviation", ANTHROPIC_CUSTOM_HEADERS=official)
    assert only_result(printed) == "Standard deviation: 13.4907"
    assert "[Chart saved: demo-output/monthly_chart.png]" in run(
        "monthly_chart", ANTHROPIC_CUSTOM_HEADERS=official
    )
    assert_chart(tmp_path / "demo-output" / "monthly_chart.png")
    assert "[File saved: demo-output/sales.csv]" in run("json_to_csv", ANTHROPIC_CUSTOM_HEADERS=official)
    sales = (tmp_path / "demo-output" / "sales.csv").read_text()
    assert sales.startswith("product,price,quantity,Total\n")


# The script


def test_each_conversation_answers_one_example(module: Callable[[str], ModuleType]) -> None:
    conversations = tomllib.loads(SCRIPT.read_text())["conversation"]
    prompts = {name: module(name).PROMPT for name in NAMES}
    assert [
        [name for name, prompt in prompts.items() if conversation["when"] in prompt]
        for conversation in conversations
    ] == [[name] for name in NAMES]


def test_script_asks_for_code_and_then_speaks() -> None:
    for conversation in tomllib.loads(SCRIPT.read_text())["conversation"]:
        *asking, last = conversation["turn"]
        assert set(last) == {"text"}
        for turn in asking:
            assert set(turn) <= {"thinking", "text", "code"}
            compile(turn["code"], conversation["when"], "exec")


# The demo


def demo(directory: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"],
        env=environment(**more),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


def assert_nobody_listens(printed: str) -> None:
    (url,) = re.findall(r"The server is ready: (\S+)", printed)
    address = urllib.parse.urlsplit(url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), timeout=10)


def test_demo_runs_all_and_ends_the_server(tmp_path: Path) -> None:
    finished = demo(tmp_path)
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr
    assert finished.stderr == ""
    assert "\x1b" not in finished.stdout, "no colours where there is no terminal"
    assert finished.stdout.startswith("No model is connected")
    assert "8 requests, 9 executions (0 ended in an error), 3 charts" in finished.stdout
    assert sorted(path.name for path in (tmp_path / "demo-output").iterdir()) == [
        "monthly_chart.png",
        "portfolio.png",
        "text_analysis.png",
    ]
    assert_nobody_listens(finished.stdout)


def test_demo_fails_when_no_code_was_run_and_leaves_the_state_directory_of_the_environment_alone(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own"
    finished = demo(tmp_path, BELLJAR_UPSTREAM="direct", BELLJAR_STATE_DIR=str(own))
    assert finished.returncode == 1
    assert finished.stdout.count("[Failed: no code was run]") == 8
    assert not own.exists()
    assert_nobody_listens(finished.stdout)


def test_demo_fails_when_code_ended_in_an_error(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text(
        """
        [[conversation]]
        when = ""
        [[conversation.turn]]
        code = "1 / 0"
        [[conversation.turn]]
        text = "That did not work."
        """
    )
    finished = demo(tmp_path, BELLJAR_UPSTREAM=f"scripted:{script}")
    assert finished.returncode == 1
    assert finished.stdout.count("[Failed: the code ended in an error]") == 8
    assert "ZeroDivisionError" in finished.stdout


def test_demo_says_why_the_server_did_not_start(tmp_path: Path) -> None:
    finished = demo(tmp_path, BELLJAR_UPSTREAM="scripted:missing.toml")
    assert finished.returncode == 2
    assert "The server ended before it was ready" in finished.stderr
    assert "missing.toml" in finished.stderr


def test_ctrl_c_ends_demo_and_server(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "demo.py"],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("--- You"):
                break
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130, rest + errors
    assert "Traceback" not in errors
    assert_nobody_listens(printed)


# JavaScript


def node(name: str, server: str, directory: Path) -> str:
    if shutil.which("node") is None:
        pytest.skip("there is no `node`: install Node.js 20 or newer")
    if not (EXAMPLES / "node_modules").is_dir():
        pytest.skip("the JavaScript SDK is not installed: npm ci --prefix examples")
    finished = subprocess.run(
        ["node", EXAMPLES / f"{name}.mjs"],
        env=environment(ANTHROPIC_BASE_URL=server),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_monthly_chart_in_javascript(server: str, tmp_path: Path) -> None:
    printed = node("monthly_chart", server, tmp_path)
    assert "Chart image: iVBORw0KGgo" in printed
    assert_chart(tmp_path / "demo-output" / "monthly_chart_js.png")


def test_processing_in_javascript(server: str, tmp_path: Path) -> None:
    printed = node("process_results", server, tmp_path)
    assert "Word count: 28 (22 different)" in printed
    assert "Number of images: 1\n" in printed
    assert "Errors: []\n" in printed
