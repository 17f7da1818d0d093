"""From a result to content blocks."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from fakes import result

from belljar import results
from belljar.errors import InvalidRequest
from belljar.gateway import offered
from belljar.gateway.profiles import choose, result_blocks
from belljar.gateway.store import File
from belljar.gateway.told import tell
from belljar.gateway.tools import CODE, Failed, Image, Offer, Ran
from belljar.installed import Installed
from belljar.records import Limits, Outcome

PNG = Image("image/png", b"\x89PNG")
CHART = File("file_1", "default", "chart.png", "chart.png", "image/png", 4, None, 0, 0)
TABLE = File("file_2", "default", "t.csv", "out/t.csv", "text/csv", 9, None, 0, 0)
FIGURE = File("file_3", "default", "figure-1.png", "figure-1.png", "image/png", 4, None, 0, 0)
BETA = ("code-execution-2025-05-22",)
TOOL = "code_execution_20250522"


@pytest.mark.parametrize(
    ("header", "setting", "tool", "betas", "chosen"),
    [
        (None, "auto", TOOL, (), "inline"),
        (None, "auto", TOOL, BETA, "anthropic"),
        (None, "auto", TOOL, ("other",), "inline"),
        (None, "auto", None, (), "anthropic"),
        (None, "anthropic", TOOL, (), "anthropic"),
        (None, "inline", TOOL, BETA, "inline"),
        ("inline", "anthropic", TOOL, BETA, "inline"),
        ("anthropic", "inline", TOOL, (), "anthropic"),
    ],
)
def test_the_choice(
    header: str | None, setting: str, tool: str | None, betas: tuple[str, ...], chosen: str
) -> None:
    assert choose(header, setting, tool, betas) == chosen


def test_an_unknown_profile() -> None:
    with pytest.raises(InvalidRequest, match="anthropic, inline"):
        choose("tutorial", "auto", None, ())


def test_files_and_images() -> None:
    ran = Ran(result("ok\n"), [CHART, TABLE], [FIGURE], [PNG], frozenset({"file_1"}))
    (pair,) = result_blocks("anthropic", "srvtoolu_1", CODE, ran)
    assert [entry["file_id"] for entry in pair["content"]["content"]] == ["file_3", "file_1", "file_2"]
    printed, image = result_blocks("inline", "srvtoolu_1", CODE, ran)
    assert printed["output"] == {"type": "text", "text": "ok"}
    assert printed["files"] == [
        {"file_id": "file_2", "filename": "t.csv", "mime_type": "text/csv", "size_bytes": 9}
    ]
    assert image == {
        "type": "code_execution_result",
        "tool_use_id": "srvtoolu_1",
        "output": {"type": "image", "media_type": "image/png", "data": base64.b64encode(PNG.body).decode()},
        "is_error": False,
        "text": "[Chart generated]",
    }


def test_the_value_of_the_last_expression() -> None:
    value = results.Display("execute_result", {"text/plain": b"42"})
    ran = Ran(result("ok\n", outputs=[value]), [])
    assert result_blocks("anthropic", "srvtoolu_1", CODE, ran)[0]["content"]["stdout"] == "ok\n"
    assert result_blocks("inline", "srvtoolu_1", CODE, ran)[0]["text"] == "Result: ok\n42"
    assert tell("toolu_1", ran, 12_500)["content"][0]["text"] == "ok\n42"


def test_what_was_displayed() -> None:
    """What can be read is told to the model; the hosted service's blocks have what was printed, and files."""
    table = results.Display("display_data", {"text/plain": b"  a\n0 1", "text/html": b"<table>"})
    note = results.Display("display_data", {"text/plain": b"<Markdown object>", "text/markdown": b"# note"})
    figure = results.Display("display_data", {"text/plain": b"<Figure>", "image/png": PNG.body})
    ran = Ran(result("ok\n", outputs=[table, figure, note]), [], [FIGURE], [PNG])
    assert result_blocks("anthropic", "srvtoolu_1", CODE, ran)[0]["content"]["stdout"] == "ok\n"
    assert result_blocks("inline", "srvtoolu_1", CODE, ran)[0]["text"] == "Result: ok\n  a\n0 1\n# note"
    assert tell("toolu_1", ran, 12_500)["content"][0]["text"] == "ok\n  a\n0 1\n# note"


def test_an_end_that_the_code_did_not_choose() -> None:
    outcome = Outcome(status="timed_out", reason="wall", message="Timed out after 30 s. Variables are kept.")
    ran = Ran(result("half\n", 124, outcome=outcome, stderr="KeyboardInterrupt\n"), [])
    (pair,) = result_blocks("anthropic", "srvtoolu_1", CODE, ran)
    assert pair["content"]["stderr"] == "KeyboardInterrupt\nTimed out after 30 s. Variables are kept."
    assert pair["content"]["return_code"] == 124
    (printed,) = result_blocks("inline", "srvtoolu_1", CODE, ran)
    assert printed["is_error"] is True
    assert printed["text"].startswith("Error: half\nKeyboardInterrupt\nTimed out")
    told = tell("toolu_1", ran, 12_500)
    assert told["is_error"] is True
    assert "Variables are kept." in told["content"][0]["text"]


def test_warnings_are_shown_where_there_is_nothing_else() -> None:
    warned = Ran(result("ok\n", stderr="careful\n"), [])
    assert result_blocks("inline", "s", CODE, warned)[0]["text"] == "Result: ok"
    assert "careful" in tell("t", warned, 12_500)["content"][0]["text"]
    silent = Ran(result("", stderr="careful\n"), [])
    assert result_blocks("inline", "s", CODE, silent)[0]["text"] == "Result: careful"


def test_a_tool_that_failed() -> None:
    failed = Failed("unavailable", "The keeper ended.")
    assert result_blocks("anthropic", "srvtoolu_1", CODE, failed)[0]["content"] == {
        "type": "code_execution_tool_result_error",
        "error_code": "unavailable",
    }
    assert (
        result_blocks("inline", "srvtoolu_1", CODE, failed)[0]["text"]
        == "Error: unavailable: The keeper ended."
    )
    assert tell("toolu_1", failed, 12_500)["is_error"] is True


def test_what_the_model_is_told_is_bounded() -> None:
    ran = Ran(result("x" * 10**6), [])
    shown = {"type": "image", "source": {}}
    content = tell("toolu_1", ran, 12_500, "", [shown])["content"]
    assert len(content[0]["text"]) < 60_000
    assert content[1:] == [shown]


def test_the_tool_as_the_model_sees_it() -> None:
    about = Installed("3.11.7", {"pandas": "3.0", "obscure": "1", "wanted": "7"}, ("wanted",))
    limits = Limits(memory_bytes=2**30, pids=128, disk_bytes=2**29, output_bytes=2**20, cpus=1)
    cached = {"type": TOOL, "name": "code_execution", "cache_control": {"type": "ephemeral"}}
    offer = Offer(about, limits, 30, is_beside_shell=False)
    (tool,) = offered.read([cached], None).for_upstream(offer)
    assert "type" not in tool
    assert tool["cache_control"] == {"type": "ephemeral"}
    for words in ("Python 3.11.7", "pandas 3.0, wanted 7", "30 seconds", "1024 MiB", "512 MiB", "no network"):
        assert words in tool["description"]
    assert "and 1 more (importlib.metadata lists them)" in tool["description"]
    assert "obscure" not in tool["description"]
    assert "shown automatically, to you and to the user" in tool["description"]
    (blind,) = offered.read([cached], None).for_upstream(replace(offer, sees=False))
    assert "shown automatically, to the user" in blind["description"]
    shell = {"type": "code_execution_20250825", "name": "code_execution"}
    (bash, _) = offered.read([shell], None).for_upstream(replace(offer, has_code=False))
    assert "pandas 3.0" in bash["description"], "where no other tool says what there is"
