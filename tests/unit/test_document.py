from __future__ import annotations

import base64
import json

from belljar import document, results
from belljar.records import Outcome
from belljar.wire.execution import ExecutionFile, Isolation, Truncated, Usage, json_of

PNG = b"\x89PNG\r\n\x1a\n\xff"
RESULT = results.Result(
    outcome=Outcome(status="raised", reason="ValueError", message="The code raised ValueError."),
    return_code=1,
    stdout="one\n",
    stderr="Traceback\n",
    truncated=Truncated(stderr=True),
    outputs=[
        results.Stream("stdout", "one\n"),
        results.Display("display_data", {"image/png": PNG, "text/plain": b"<Figure>"}),
        results.Display(
            "execute_result", {"application/json": b"{}", "image/svg+xml": b"<svg/>", "text/html": b"\xff"}
        ),
        results.Raised("ValueError", "no", ["Traceback"]),
    ],
    files=[],
    files_left_out=3,
    displays_left_out=0,
    usage=Usage(wall_seconds=1.5, cpu_seconds=0.5, peak_memory_bytes=10),
    laps={"run": 1500.0},
)
FILE = ExecutionFile(file_id=None, filename="a.csv", path="d/a.csv", mime_type="text/csv", size_bytes=3)


def test_a_result_as_a_document() -> None:
    made = document.execution(RESULT, container=None, files=[FILE], isolation=Isolation(level="limited"))
    data = json_of(made)
    assert data.pop("id").startswith("exec_")
    assert data == {
        "type": "execution",
        "container": None,
        "restored": False,
        "runtime": "default",
        "outcome": {
            "status": "raised",
            "reason": "ValueError",
            "message": "The code raised ValueError.",
            "limit": None,
        },
        "return_code": 1,
        "stdout": "one\n",
        "stderr": "Traceback\n",
        "truncated": {"stdout": False, "stderr": True},
        "outputs": [
            {"type": "stream", "name": "stdout", "text": "one\n"},
            {
                "type": "display_data",
                "data": {"image/png": base64.b64encode(PNG).decode(), "text/plain": "<Figure>"},
            },
            {
                "type": "execute_result",
                "data": {
                    "application/json": "{}",
                    "image/svg+xml": "<svg/>",
                    "text/html": "\N{REPLACEMENT CHARACTER}",
                },
            },
            {
                "type": "error",
                "ename": "ValueError",
                "evalue": "no",
                "traceback": ["Traceback"],
                "brief": [],
                "frames": [],
                "values": [],
                "hint": None,
            },
        ],
        "files": [
            {
                "file_id": None,
                "filename": "a.csv",
                "path": "d/a.csv",
                "mime_type": "text/csv",
                "size_bytes": 3,
                "change": "created",
                "holds": 0,
                "chart": None,
            }
        ],
        "deleted": [],
        "usage": {"wall_seconds": 1.5, "cpu_seconds": 0.5, "peak_memory_bytes": 10},
        "isolation": {"level": "limited", "missing": []},
        "laps": {"run": 1500.0},
    }
    json.dumps(data, allow_nan=False)
