"""What a guest is told of its run, and what the owner is told when it is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from belljar.frames import Message, encode
from belljar.keeper import collector
from belljar.keeper.journal import milliseconds
from belljar.keeper.outcomes import Decided
from belljar.keeper.runs import Run
from belljar.keeper.workspace import Changes

_MAX_DELETED = 1000
"""Paths that are told."""


def order(run: Run, request: Mapping[str, Any], outputs: str) -> bytes:
    """The guest's order for `request`, as `Session.execute` has it. `outputs` is where $OUTPUT_DIRs lie, inside."""
    env = request["env"] | {"OUTPUT_DIR": f"{outputs}/{request['output_dir']}"}
    if run.request_id:
        env["BELLJAR_REQUEST_ID"] = run.request_id
    told = {"run": run.number, "code": request["code"], "stdin": request["stdin"], "env": env}
    told["is_last"] = request["is_last"]
    if request["calls"]:
        told["calls"] = [
            {**call, "output_dir": f"{outputs}/{call['output_dir']}"} for call in request["calls"]
        ]
    for more in ("argv", "tools", "charts", "chart"):
        if request[more]:
            told[more] = request[more]
    return encode(Message("execute", {}, json.dumps(told).encode()))


def report(
    run: Run,
    decided: Decided,
    changes: Changes,
    *,
    disk_bytes: int,
    cpu_seconds: float,
    peak_bytes: int,
    laps: Mapping[str, float],
) -> dict[str, Any]:
    """The owner's answer. Of files no more is told than `disk_bytes`, the session's limit; `laps` are in seconds."""
    kept = collector.within(changes.files, disk_bytes)
    for file in kept:
        file["chart"] = run.chart_in(file.pop("inode"))
    deleted = changes.deleted
    return {
        "outcome": asdict(decided.outcome),
        "return_code": decided.return_code,
        "raised": decided.raised,
        "truncated": {name: capture.is_truncated for name, capture in run.captures.items()},
        "displays_left_out": run.displays_left_out,
        "calls": [
            {
                "return_code": call.return_code,
                "truncated": {name: capture.is_truncated for name, capture in call.captures.items()},
            }
            for call in run.calls
        ],
        "files": kept,
        "files_left_out": len(changes.files) - len(kept),
        "are_files_whole": changes.is_whole,
        "deleted": deleted[:_MAX_DELETED],
        "deleted_left_out": max(0, len(deleted) - _MAX_DELETED),
        "usage": {
            "wall_seconds": laps.get("run", 0.0),
            "cpu_seconds": max(0.0, cpu_seconds),
            "peak_memory_bytes": peak_bytes,
        },
        "laps": milliseconds(laps),
    }
