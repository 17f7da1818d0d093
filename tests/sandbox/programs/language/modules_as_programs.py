"""Runs modules of the standard library as programs, by python -m."""

import subprocess
import sys
from pathlib import Path


def run(*arguments, **options):
    answer = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60, **options
    )
    assert answer.returncode == 0, (arguments, answer.stderr)
    return answer.stdout


assert run("json.tool", input='{"a": [1]}') == '{\n    "a": [\n        1\n    ]\n}\n'
Path("a.txt").write_text("text")
run("zipfile", "-c", "a.zip", "a.txt")
assert "a.txt" in run("zipfile", "-l", "a.zip")
run("tarfile", "-c", "a.tar", "a.txt")
assert run("tarfile", "-l", "a.tar").split() == ["a.txt"]
assert run("base64", "-e", "a.txt") == "dGV4dA==\n"
assert "usage" in run("http.server", "--help").lower()
assert "loop" in run("timeit", "-n", "10", "pass")
assert "February 2024" in run("calendar", "2024", "2")
Path("mod.py").write_text("def f():\n    '''Answers.'''\n    return 42\n")
assert "Answers." in run("pydoc", "mod")
run("compileall", "-q", "mod.py")
assert list(Path("__pycache__").glob("mod.*.pyc"))
assert "LOAD_CONST" in run("dis", "mod.py") or "RETURN_CONST" in run("dis", "mod.py")
assert "FunctionDef" in run("ast", "mod.py")
Path("test_mod.py").write_text(
    "import unittest, mod\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(mod.f(), 42)\n"
)
run("unittest", "-q", "test_mod")
assert "function calls" in run("cProfile", "mod.py")
assert "Zen" in run("this")
assert "platform" in run("sysconfig").lower()
print("done")
