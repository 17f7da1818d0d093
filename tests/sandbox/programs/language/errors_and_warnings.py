"""Raises, chains, groups and formats exceptions, warns, and looks at frames, also of code that has no file."""

import contextlib
import io
import linecache
import sys
import traceback
import warnings


def fail():
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("wrapped") from error


try:
    fail()
except ValueError as error:
    text = "".join(traceback.format_exception(error))
    assert "KeyError: 'missing'" in text
    assert "direct cause" in text
    error.add_note("and a note")
    assert "and a note" in "".join(traceback.format_exception(error))
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"
try:
    raise ExceptionGroup("several", [ValueError(1), TypeError(2)])
except* ValueError as group:
    assert len(group.exceptions) == 1
except* TypeError as group:
    assert str(group.exceptions[0]) == "2"

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert [str(one.message) for one in caught] == ["old"]
with warnings.catch_warnings():
    warnings.simplefilter("error")
    try:
        warnings.warn("strict", UserWarning, stacklevel=1)
    except UserWarning:
        strict = True
assert strict


def deep(count):
    return deep(count + 1)


try:
    deep(0)
except RecursionError as error:
    assert "maximum recursion depth" in str(error)
source = "def made():\n    raise LookupError('made')\n"
linecache.cache["<made>"] = (len(source), None, source.splitlines(True), "<made>")
namespace = {}
exec(compile(source, "<made>", "exec"), namespace)
try:
    namespace["made"]()
except LookupError:
    assert "raise LookupError('made')" in traceback.format_exc()
try:
    compile("a b", "<text>", "exec")
except SyntaxError as error:
    assert error.filename == "<text>"
assert sys._getframe().f_code.co_name == "<module>"

output, errors = io.StringIO(), io.StringIO()
with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
    print("out")
    print("err", file=sys.stderr)
    with contextlib.suppress(ZeroDivisionError):
        divmod(1, 0)
assert (output.getvalue(), errors.getvalue()) == ("out\n", "err\n")
seen = []
sys.excepthook = lambda kind, *_: seen.append(kind)
sys.excepthook(ValueError, ValueError(), None)
sys.excepthook = sys.__excepthook__
assert seen == [ValueError]


class Resource:
    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.kind = kind
        return True


with Resource() as resource:
    raise OSError(2, "gone")
assert resource.kind is FileNotFoundError
print("done")
