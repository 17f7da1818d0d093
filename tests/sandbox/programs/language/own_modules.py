"""Writes modules and packages to the working directory and imports them: also again, from a zip, and by name."""

import importlib
import importlib.resources
import importlib.util
import inspect
import os
import runpy
import sys
import textwrap
import zipfile
from pathlib import Path

Path("own_module.py").write_text("VALUE = 1\n\ndef double(x):\n    return 2 * x\n")
import own_module  # noqa: E402

assert own_module.double(21) == 42
assert inspect.getsource(own_module.double).startswith("def double")
assert os.path.dirname(os.path.abspath(own_module.__file__)) == os.getcwd()
Path("own_module.py").write_text("VALUE = 'longer than before'\n")
importlib.invalidate_caches()
assert importlib.reload(own_module).VALUE == "longer than before"

Path("own_package/deep").mkdir(parents=True)
Path("own_package/__init__.py").write_text("from .deep import name\n")
Path("own_package/deep/__init__.py").write_text("name = __name__\n")
Path("own_package/__main__.py").write_text("result = 'ran'\n")
Path("own_package/data.txt").write_text("data")
import own_package  # noqa: E402

assert own_package.name == "own_package.deep"
assert importlib.resources.files("own_package").joinpath("data.txt").read_text() == "data"
assert runpy.run_module("own_package")["result"] == "ran"
Path("space").mkdir()
Path("space/part.py").write_text("X = 5\n")
assert importlib.import_module("space.part").X == 5

with zipfile.ZipFile("zipped.zip", "w") as archive:
    archive.writestr("in_a_zip.py", "WHERE = __file__\n")
sys.path.insert(0, "zipped.zip")
assert "zipped.zip" in importlib.import_module("in_a_zip").WHERE
spec = importlib.util.spec_from_file_location("anything", "own_module.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert module.VALUE == "longer than before"
Path("script.py").write_text(
    textwrap.dedent(
        """
        import sys
        if __name__ == "__main__":
            answer = len(sys.argv)
        """
    )
)
assert runpy.run_path("script.py", run_name="__main__")["answer"] == len(sys.argv)
try:
    import no_such_module_anywhere  # noqa: F401
except ModuleNotFoundError as error:
    assert error.name == "no_such_module_anywhere"
Path("broken.py").write_text("def f(:\n")
try:
    import broken  # noqa: F401
except SyntaxError as error:
    assert error.lineno == 1
    print("done")
