"""What a notebook shows of a hundred cells, and what Belljar does: writes the table of docs/cells.md.

The cells stand in cells.toml, each with the reason where the two differ. The notebook is ipykernel, spoken to through
jupyter_client, in the environment that `make bench` makes, with the packages of the default runtime.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CELLS = ROOT / "bench" / "cells.toml"
PAGE = ROOT / "docs" / "cells.md"
BEGIN, END = "<!-- cells -->", "<!-- end of cells -->"
JUPYTER = ROOT / ".tools/bench/bin/python"
RUNTIME = ROOT / ".venv/share/belljar/runtimes/data"
SAME = "the same"
MOST = 160
CELL_SECONDS = 60

_CHANGING = (
    (re.compile(r"\b0x[0-9A-Fa-f]+"), "0x…"),
    (re.compile(r"\d+(\.\d+)?(e[+-]?\d+)? ?(ns|[µμ]s|ms|s)\b"), "… s"),
    (re.compile(r"\(<(?:cell \d+|ipython-input[^>]*|string)>, line \d+\)|\(\d+\.py, line \d+\)"), "(…)"),
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"T_[0-9a-f]{5}"), "T_…"),
    (re.compile(r"(?<![\w.:<])/(?:[\w.@+-]+/)+"), "…/"),
)


@dataclass(frozen=True)
class Cell:
    code: str
    why: str


def cells() -> list[Cell]:
    return [
        Cell(one["code"].strip("\n"), one.get("why", ""))
        for one in tomllib.loads(CELLS.read_text(encoding="utf-8"))["cell"]
    ]


# -- what came of a cell, in one line ----------------------------------------------------------------------

Output = dict[str, Any]
"""An output as `POST /v1/executions` has it; a notebook's are alike."""


def described(outputs: list[Output]) -> str:
    """The outputs of a cell in one line, without what differs from one run to the next."""
    return " · ".join(filter(None, map(_described, outputs))) or "nothing"


def _described(output: Output) -> str:
    match output["type"]:
        case "stream":
            return f"{output['name']}: {_short(output['text'].rstrip(chr(10)))}"
        case "error":
            return f"{output['ename']}: {_short(output['evalue'])}"
        case kind:
            data = dict(output["data"])
            plain = data.pop("text/plain", "")
            more = f" + {', '.join(sorted(data))}" if data else ""
            return f"{'value' if kind == 'execute_result' else 'shown'}: {_short(plain)}{more}"


def _short(text: str) -> str:
    for pattern, put in _CHANGING:
        text = pattern.sub(put, text)
    text = re.sub(r"\s*\n\s*", " ⏎ ", text.strip())
    return text if len(text) <= MOST else f"{text[:MOST]}…"


# -- the two -----------------------------------------------------------------------------------------------


def of_notebook(codes: list[str]) -> list[list[Output]]:
    """What the kernel shows of each cell."""
    packages = next((RUNTIME / "lib").glob("python*/site-packages"))
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "work"  # as it is called in a session
        work.mkdir()
        environment = {"PATH": os.defpath, "HOME": place, "LANG": "C.UTF-8", "PYTHONPATH": str(packages)}
        done = subprocess.run(
            [str(JUPYTER), __file__, "--kernel"],
            input=json.dumps(codes), env=environment, cwd=work, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    found: list[list[Output]] = json.loads(done.stdout.splitlines()[-1])  # what is before is of the cells
    return found


def _drive_a_kernel() -> None:
    """Runs in Jupyter's own environment."""
    from jupyter_client.manager import start_new_kernel  # type: ignore[import-not-found]

    manager, client = start_new_kernel(kernel_name="python3")
    found = []
    for code in json.load(sys.stdin):
        try:
            found.append(_kernel_outputs(client, code))
        except (RuntimeError, TimeoutError) as error:
            print(f"{code!r}: {error!r}", file=sys.stderr)
            found.append([{"type": "error", "ename": "none", "evalue": "the kernel has ended"}])
    print(json.dumps(found))
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def _kernel_outputs(client: Any, code: str) -> list[Output]:
    outputs: list[Output] = []
    to_clear = False

    def heard(message: dict[str, Any]) -> None:
        nonlocal to_clear
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            to_clear = content["wait"]
            if not to_clear:
                outputs.clear()
            return
        if kind not in ("stream", "display_data", "update_display_data", "execute_result", "error"):
            return
        if to_clear:
            outputs.clear()
            to_clear = False
        place = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            for output in outputs:
                if output.get("place") == place:
                    output["data"] = content["data"]
        elif kind == "stream" and outputs and outputs[-1].get("name") == content["name"]:
            outputs[-1]["text"] += content["text"]
        else:
            outputs.append({"type": kind, "place": place, **content})

    reply = client.execute_interactive(
        code, allow_stdin=False, output_hook=heard, timeout=CELL_SECONDS, stop_on_error=False
    )
    for page in reply["content"].get("payload", []):
        if page["source"] == "page":
            outputs.append({"type": "pager", "data": page["data"]})
    return outputs


async def of_belljar(codes: list[str]) -> list[list[Output]]:
    """What Belljar shows of each."""
    from belljar import document, link, orders
    from belljar.records import Limits
    from belljar.settings import Settings
    from belljar.wire.execution import json_of

    found = []
    async with link.start(Settings(preload={}, parked=0)) as keeper:
        await keeper.open("cells", Limits())
        for code in codes:
            result = await keeper.execute("cells", orders.Run(code, CELL_SECONDS))
            found.append([json_of(document.output_of(output)) for output in result.outputs])
    return found


# -- the table ---------------------------------------------------------------------------------------------


def in_a_cell(text: str) -> str:
    """Text as code in a cell of a table."""
    text = text.replace("\\|", "\\ |").replace("|", "\\|").replace("`", "ˋ").strip()
    return f"`{text}`" if text else ""


def row(number: int, cell: Cell, theirs: str, ours: str) -> str:
    code = in_a_cell(cell.code.replace("\n", " ⏎ ")) or "(empty)"
    return f"| {number} | {code} | {in_a_cell(theirs)} | {SAME if ours == theirs else in_a_cell(ours)} | {cell.why} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--print", action="store_true", help="print the rows instead of writing docs/cells.md"
    )
    asked = parser.parse_args()
    if asked.kernel:
        _drive_a_kernel()
        return
    if not JUPYTER.exists():
        sys.exit(f"there is no {JUPYTER.relative_to(ROOT)}: `make bench` makes it, or scripts/setup bench")
    import anyio

    listed = cells()
    codes = [cell.code for cell in listed]
    theirs = [described(outputs) for outputs in of_notebook(codes)]
    ours = [described(outputs) for outputs in anyio.run(of_belljar, codes)]
    rows = [row(n, *one) for n, one in enumerate(zip(listed, theirs, ours, strict=True), 1)]
    unexplained = [
        f"{n}: {cell.code!r}\n   notebook: {their}\n   Belljar:  {our}\n   why: {cell.why}"
        for n, (cell, their, our) in enumerate(zip(listed, theirs, ours, strict=True), 1)
        if (their != our) != bool(cell.why)
    ]
    if asked.print:
        print("\n".join(rows))
    if unexplained:
        sys.exit("These differ and have no `why`, or have one and do not differ:\n" + "\n".join(unexplained))
    if not asked.print:
        head = "| | cell | a notebook | Belljar | why |\n| --- | --- | --- | --- | --- |\n"
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{head}{chr(10).join(rows)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
