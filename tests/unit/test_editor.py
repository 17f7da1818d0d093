"""The text editor on real files."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from belljar.guest import editor

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def edit(command: str, path: object, **more: Any) -> dict[str, Any]:
    done = editor.edit(
        {"command": command, "path": str(path), **more}, {"INPUT_DIR": "/in", "HERE": os.getcwd()}
    )
    json.dumps(done)
    return done


def why(done: dict[str, Any]) -> tuple[str, str]:
    assert done["result"] == "error"
    return done["error_code"], done["error_message"]


def test_a_file_is_made_and_made_again(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ünï.txt"
    assert edit("create", path, file_text="a\r\nb") == {"result": "create", "is_file_update": False}
    assert path.read_bytes() == b"a\r\nb"
    assert edit("create", path, file_text="")["is_file_update"] is True
    assert path.read_bytes() == b""
    assert why(edit("create", tmp_path, file_text="x"))[0] == "invalid_tool_input"
    assert why(edit("create", path))[1] == "file_text: a string is needed here."


@pytest.mark.parametrize(
    ("content", "shown", "lines"),
    [
        ("", "", 0),
        ("one", "one", 1),
        ("one\n", "one", 1),
        ("one\n\n", "one\n", 2),
        ("one\x0b\u2028two\r\nthree", "one\x0b\u2028two\r\nthree", 2),
    ],
)
def test_what_is_viewed(tmp_path: Path, content: str, shown: str, lines: int) -> None:
    path = tmp_path / "text"
    path.write_text(content, newline="")
    assert edit("view", path) == {
        "result": "view",
        "file_type": "text",
        "content": shown,
        "num_lines": lines,
        "start_line": 1,
        "total_lines": lines,
    }


def test_a_range(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("".join(f"{n}\n" for n in range(1, 11)))
    part = edit("view", path, view_range=[3, 5])
    assert (part["content"], part["num_lines"], part["start_line"], part["total_lines"]) == (
        "3\n4\n5",
        3,
        3,
        10,
    )
    assert edit("view", path, view_range=[9, -1])["content"] == "9\n10"
    assert edit("view", path, view_range=[9, 99])["content"] == "9\n10"
    for wrong in ([0, 3], [4, 3], [11, 12], [1], ["1", "2"], "1-2", [True, 2]):
        assert why(edit("view", path, view_range=wrong))[0] == "invalid_tool_input"


def test_a_long_text_is_cut_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text("x" * 99 + "\n" + ("y" * 99 + "\n") * 10_000)
    part = edit("view", path)
    assert part["total_lines"] == 10_001
    assert part["num_lines"] == len(part["content"].split("\n")) == editor.MAX_VIEW_CHARACTERS // 100
    path.write_text("z" * 10**6)
    assert edit("view", path)["content"] == "z" * editor.MAX_VIEW_CHARACTERS


def test_pictures_and_pdfs(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    assert edit("view", tmp_path / "a.png")["file_type"] == "image"
    assert base64.b64decode(edit("view", tmp_path / "a.png")["content"]) == PNG
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 \xff")
    assert edit("view", tmp_path / "a.pdf")["file_type"] == "pdf"
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00\x01")
    assert why(edit("view", tmp_path / "noise"))[0] == "invalid_tool_input"
    (tmp_path / "large.png").write_bytes(PNG + bytes(editor.MAX_PICTURE_BYTES))
    assert "over the" in why(edit("view", tmp_path / "large.png"))[1]


def test_a_directory_two_levels_deep(tmp_path: Path) -> None:
    for name in ("b/c/d", "a", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "b" / "file").touch()
    (tmp_path / "b" / "c" / "deep").touch()
    listed = edit("view", tmp_path)["content"].split("\n")
    assert listed == [f"{tmp_path}/{name}" for name in ("a/", "b/", "b/c/", "b/file")]


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_text("yes")
    for path in ("here", "$HERE/here", "${HERE}/here", tmp_path / "here"):
        assert edit("view", path)["content"] == "yes"
    assert why(edit("view", "$INPUT_DIR/none")) == ("file_not_found", "There is no file /in/none.")
    assert why(edit("view", "$UNKNOWN/none"))[1] == "There is no file $UNKNOWN/none."
    for path in ("", "a\0b"):
        assert why(edit("view", path))[0] == "invalid_tool_input"
    os.mkfifo(tmp_path / "fifo")
    assert "neither a file nor a directory" in why(edit("view", "fifo"))[1]
    assert why(edit("view", "/proc/self/mem"))[0] in {"unavailable", "invalid_tool_input"}
    (tmp_path / "loop").symlink_to("loop")
    assert why(edit("view", "loop"))[0] == "unavailable"


def test_one_piece_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("".join(f"{n}\n" for n in range(1, 11)))
    assert edit("str_replace", path, old_str="5\n6\n", new_str="five\nand\nsix\n") == {
        "result": "str_replace",
        "lines": [" 2", " 3", " 4", "-5", "-6", "+five", "+and", "+six", " 7", " 8", " 9"],
        "old_start": 2,
        "old_lines": 8,
        "new_start": 2,
        "new_lines": 9,
    }
    assert path.read_text() == "1\n2\n3\n4\nfive\nand\nsix\n7\n8\n9\n10\n"


@pytest.mark.parametrize(
    ("before", "old", "new", "lines", "numbers"),
    [
        ("a", "a", "b", ["-a", "+b"], (1, 1, 1, 1)),
        ("a\n", "a\n", "", ["-a"], (1, 1, 0, 0)),
        ("a\nb\n", "b", "b\nc", [" a", " b", "+c"], (1, 2, 1, 3)),
        ("a\nb\n", "a\n", "z\na\n", ["+z", " a", " b"], (1, 2, 1, 3)),
        ("a\nb\na\n", "b\n", "", [" a", "-b", " a"], (1, 3, 1, 2)),
        ("a\n", "a", "a", [], (1, 0, 1, 0)),
    ],
)
def test_hunks(
    tmp_path: Path, before: str, old: str, new: str, lines: list[str], numbers: tuple[int, ...]
) -> None:
    path = tmp_path / "text"
    path.write_text(before)
    done = edit("str_replace", path, old_str=old, new_str=new)
    assert done["lines"] == lines
    assert tuple(done[name] for name in ("old_start", "old_lines", "new_start", "new_lines")) == numbers


def test_a_piece_of_a_very_long_line_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(f"first\n[{'1,' * 3_000_000}7]\n")
    done = edit("str_replace", path, old_str="7]", new_str="8]")
    assert path.read_text().endswith(",8]\n")
    assert (done["old_start"], done["old_lines"], done["new_lines"]) == (1, 2, 2)
    assert [line[:4] for line in done["lines"]] == [" fir", "-[1,", "+[1,"]
    assert done["lines"][1].endswith(" characters left out ...]")
    assert len(json.dumps(done)) < 300_000

    lines = "a\n" * 300_000
    path.write_text(f"{lines}X")
    done = edit("str_replace", path, old_str=f"{lines}X", new_str="y")
    assert (done["old_lines"], path.read_text()) == (300_001, "y")
    assert len(json.dumps(done)) < 1_000_000


def test_what_cannot_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("aa a")
    assert "is not in" in why(edit("str_replace", path, old_str="b", new_str="c"))[1]
    assert "is 3 times in" in why(edit("str_replace", path, old_str="a", new_str="c"))[1]
    assert "empty" in why(edit("str_replace", path, old_str="", new_str="c"))[1]
    assert why(edit("str_replace", tmp_path / "none", old_str="a", new_str="c"))[0] == "file_not_found"
    assert path.read_text() == "aa a"
    assert edit("str_replace", path, old_str=" a")["result"] == "str_replace"
    assert path.read_text() == "aa"


def test_no_command_of_ours() -> None:
    assert why(edit("undo_edit", "x"))[1] == "command: 'undo_edit' is none of: view, create, str_replace."
    assert why(editor.edit({"command": 1, "path": "x"}, {}))[0] == "invalid_tool_input"
    assert why(editor.edit({"command": "view"}, {}))[0] == "invalid_tool_input"
