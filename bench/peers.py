"""What a user would pick instead: cold python, bubblewrap and Jupyter, each as a way to run one program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workloads import Workload

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ROOT / ".venv/share/belljar/runtimes/data"
JUPYTER = ROOT / ".tools/bench/bin/python"

_WARM = """
import contextlib, io, sys, time
import numpy, pandas, matplotlib, scipy.optimize, sympy
matplotlib.use("Agg")
import matplotlib.pyplot
code = compile(sys.argv[1], "program", "exec")
while sys.stdin.readline():
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, {"__name__": "__main__"})
    print((time.perf_counter() - started) * 1000, flush=True)
    matplotlib.pyplot.close("all")
"""


@contextmanager
def folder(workload: Workload) -> Iterator[Path]:
    """A directory with the program as main.py, and its files."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "main.py").write_text(workload.code)
        for file, body in workload.files.items():
            (path / file).write_bytes(body)
        yield path


def environment() -> dict[str, str]:
    """One thread for libraries of matrices, as in a session of one processor."""
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    return {
        "PATH": os.defpath,
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "MPLCONFIGDIR": "/tmp/belljar-bench-mpl",
        **single,
    }


def cold(place: Path) -> None:
    """`python main.py`."""
    _run([str(RUNTIME / "bin/python"), "main.py"], place)


def bubblewrap(place: Path) -> None:
    """The same in namespaces of its own, with the machine's files read-only."""
    walls = "--unshare-all --die-with-parent --new-session --ro-bind / / --dev /dev --proc /proc --tmpfs /run"
    inside = ["--bind", str(place), str(place), "--chdir", str(place), str(RUNTIME / "bin/python"), "main.py"]
    _run(["bwrap", *walls.split(), *inside], place)


def has_bubblewrap() -> bool:
    """Whether it is installed, and allowed to do its work."""
    if shutil.which("bwrap") is None:
        return False
    return (
        subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], check=False).returncode == 0
    )


@contextmanager
def warm(workload: Workload, place: Path) -> Iterator[Callable[[], float]]:
    """An interpreter that has imported everything, and has run the program before: runs it again, and tells how many
    milliseconds that took."""
    command = [str(RUNTIME / "bin/python"), "-c", _WARM, workload.code]
    with subprocess.Popen(
        command, cwd=place, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout

        def again() -> float:
            asked.write("\n")
            asked.flush()
            return float(told.readline())

        again()
        yield again


def jupyter(code: str, cells: int) -> tuple[float, list[float]] | None:
    """Milliseconds until a new kernel has run `code`, and of `cells` more cells; None where there is no Jupyter."""
    if not JUPYTER.exists():
        return None
    packages = next((RUNTIME / "lib").glob("python*/site-packages"))
    done = subprocess.run(
        [str(JUPYTER), __file__, str(cells)],
        input=code, env=environment() | {"PYTHONPATH": str(packages)}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    first, others = json.loads(done.stdout)
    return first, others


def _run(command: list[str], place: Path) -> None:
    subprocess.run(command, cwd=place, env=environment(), check=True, capture_output=True)


def _drive_a_kernel(code: str, cells: int) -> None:
    """Runs in Jupyter's own environment."""
    from jupyter_client.manager import start_new_kernel  # type: ignore[import-not-found]

    started = time.perf_counter()
    manager, client = start_new_kernel(kernel_name="python3")
    client.execute_interactive(code, output_hook=lambda message: None)
    first = (time.perf_counter() - started) * 1000
    others = []
    for _ in range(cells):
        started = time.perf_counter()
        client.execute_interactive("print(1+1)", output_hook=lambda message: None)
        others.append((time.perf_counter() - started) * 1000)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    print(json.dumps([first, others]))


if __name__ == "__main__":
    _drive_a_kernel(sys.stdin.read(), int(sys.argv[1]))
