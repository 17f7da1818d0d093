"""A cell is what a notebook's user expects: what is shown, in order, and what is understood beside Python."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
from jail import Session

from belljar import results

pytestmark = pytest.mark.anyio


def displays(result: results.Result) -> list[results.Display]:
    return [output for output in result.outputs if isinstance(output, results.Display)]


async def shown(session: Session, code: str) -> results.Display:
    """The one display of code that has to run to its end."""
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed", result.stderr
    (display,) = displays(result)
    return display


# -- values ------------------------------------------------------------------------------------------------


async def test_the_last_values_have_names(session: Session) -> None:
    await session.run("'first'")
    await session.run("'second'")
    await session.run("'third'")
    assert await session.says("print(_, __, ___, _1, _2, _3)") == "third second first first second third"
    await session.run("'fourth'")
    assert await session.says("print(_, '_1' in globals(), _5)") == "fourth False fourth"
    # A `_` of the code's own is left alone from then on.
    await session.run("_ = 'mine'")
    await session.run("'fifth'")
    assert await session.says("print(_)") == "mine"


@pytest.mark.parametrize("code", ["6 * 7;", "6 * 7 ; # why", "(6 *\n7\n);", "';';"])
async def test_a_semicolon_hides_the_value(session: Session, code: str) -> None:
    assert displays(await session.run(code)) == []
    assert displays(await session.run("%time 1;")) == []
    assert len(displays(await session.run("%%time\na = 1; b = 2\na + b"))) == 1
    assert len(displays(await session.run(code.replace(";", "").replace("''", "'x'")))) == 1


async def test_a_byte_order_mark_at_the_head_is_overlooked(session: Session) -> None:
    assert await session.says("\N{BOM}import sys\nprint(sys.version_info[0])") == "3"
    result = await session.run("print(1)\n\N{BOM}print(2)")
    assert result.outcome.reason == "SyntaxError"


async def test_what_is_shown_is_within_bounds(session: Session) -> None:
    code = """
        class Large:
            def __repr__(self): return "x" * 1_000_000
            def _repr_html_(self): return "h" * 2_000_000
            def _repr_png_(self): return b"p" * 9_000_000
            def _repr_markdown_(self): return "m" * 500_000
        Large()
    """
    result = await session.run(code)
    (display,) = displays(result)
    assert set(display.data) == {"text/plain", "text/markdown"}
    assert display.data["text/plain"].endswith(b"characters left out ...]")
    assert "text/html was left out: it has 2,000,000 bytes, and may have 1,048,576" in result.stderr
    assert "image/png was left out" in result.stderr


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("_repr_html_(self): raise ValueError('no')", "_repr_html_() of Odd raised ValueError: no"),
        ("_repr_html_(self): return 5", "text/html was left out: TypeError: text is expected, not int"),
        ("_repr_png_(self): return '!!'", "image/png was left out: ValueError: not valid base64"),
        ("_repr_json_(self): return float('nan')", "application/json was left out: ValueError"),
        (
            "_repr_mimebundle_(self, **_): return {'x' * 101: 'a', 'text/plain': 'odd'}",
            "was left out: there may be 16 media types",
        ),
        ("_ipython_display_(self): 1 / 0", "_ipython_display_() of Odd raised ZeroDivisionError"),
    ],
)
async def test_a_method_that_fails_is_a_word_on_stderr(session: Session, method: str, said: str) -> None:
    result = await session.run(f"class Odd:\n    def __repr__(self): return 'odd'\n    def {method}\nOdd()")
    assert result.outcome.status == "completed"
    assert [display.data for display in displays(result)] == [{"text/plain": b"odd"}]
    assert said in result.stderr


async def test_things_that_have_every_attribute_are_just_text(session: Session) -> None:
    display = await shown(session, "from unittest.mock import MagicMock\nMagicMock(name='m')")
    assert set(display.data) == {"text/plain"}
    class_of_rich = "class R:\n    def _repr_html_(self): return 'x'\n"
    assert set((await shown(session, class_of_rich + "R")).data) == {"text/plain"}


async def test_tables_say_what_they_are(session: Session) -> None:
    display = await shown(session, "import pandas as pd\npd.DataFrame({'a': [1, 2], 7: ['x', None]})")
    table = json.loads(display.data["application/vnd.belljar.table+json"])
    assert (table["rows"], table["columns_left_out"]) == (2, 0)
    assert table["columns"][0] == {"name": "a", "dtype": "int64", "nulls": 0}
    assert (table["columns"][1]["name"], table["columns"][1]["nulls"]) == ("7", 1)
    assert display.data["text/html"].startswith(b"<div>")

    wide = await shown(session, "pd.DataFrame([[0] * 300] * 10_000)")
    table = json.loads(wide.data["application/vnd.belljar.table+json"])
    assert (len(table["columns"]), table["columns_left_out"], table["rows"]) == (200, 100, 10_000)
    assert table["columns"][0]["nulls"] == 0
    long = await shown(session, "pd.Series(range(3_000_000))")
    table = json.loads(long.data["application/vnd.belljar.table+json"])
    assert (table["rows"], table["columns"][0]["nulls"]) == (3_000_000, None)
    empty = await shown(session, "pd.DataFrame()")
    assert json.loads(empty.data["application/vnd.belljar.table+json"])["columns"] == []


async def test_tables_with_a_style_are_text_too(session: Session) -> None:
    display = await shown(session, "import pandas as pd\npd.DataFrame({'a': [1, 25]}).style.highlight_max()")
    assert display.data["text/plain"] == b"    a\n0   1\n1  25"
    assert b"background-color: yellow" in display.data["text/html"]
    assert json.loads(display.data["application/vnd.belljar.table+json"])["rows"] == 2
    assert "0 & 1" in await session.says("print(pd.DataFrame({'a': [1, 25]}).to_latex())")


@pytest.mark.parametrize("code", ["fig", "fig.show()", "display(fig)", "pio.show(fig.to_dict())"])
async def test_figures_of_plotly_are_shown_once(session: Session, code: str) -> None:
    made = "import plotly.graph_objects as go, plotly.io as pio\nfig = go.Figure(go.Bar(x=['a'], y=[2]))\n"
    result = await session.run(made + code, timeout=60)
    assert (result.outcome.status, result.stderr) == ("completed", "")
    (display,) = displays(result)
    assert {"application/vnd.plotly.v1+json", "image/png", "text/plain"} <= set(display.data)
    assert display.chart is not None


async def test_bars_of_notebooks_are_text(session: Session) -> None:
    result = await session.run("from tqdm.notebook import tqdm, trange\nsum(tqdm([1, 2])) + sum(trange(2))")
    assert (result.outcome.status, result.outputs[-1]) == ("completed", displays(result)[0])
    assert "2/2" in result.stderr


async def test_pictures_of_pil_are_png(session: Session) -> None:
    display = await shown(session, "from PIL import Image\nImage.new('RGB', (3, 2))")
    assert set(display.data) == {"text/plain", "image/png"}
    assert display.data["image/png"].startswith(b"\x89PNG")


async def test_a_display_has_metadata_and_can_be_replaced(session: Session) -> None:
    code = """
        handle = display("one", metadata={"text/plain": {"a": 1}}, display_id="place")
        for number in range(5000):
            handle.update(number)
    """
    display = await shown(session, code)
    assert (display.display_id, display.type) == ("place", "display_data")
    # A loop that replaces more often than the keeper listens loses steps, and not the last one.
    assert display.data == {"text/plain": b"4999"}
    result = await session.run("display(1, metadata={'a': 'x' * 20_000})")
    assert displays(result)[0].metadata == {}
    assert "metadata of a display was left out" in result.stderr
    assert (await session.run("display(1, display_id='x' * 101)")).outcome.reason == "TypeError"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "display({f'image/{k}': b'x' * 8_000_000 for k in ('png', 'gif', 'webp')}, raw=True)",
            "a display of 24,000,000",
        ),
        (
            "m = []\nfor _ in range(80): m = [m]\ndisplay(1, metadata={'m': m})",
            "metadata of a display was left",
        ),
        (
            "class O:\n    def _repr_html_(self): return 'x', {'m': 'x' * 100_000}\nO()",
            "metadata of a display was left",
        ),
        ("display({'text/plain': 'x'}, raw=True, metadata={'n': float('nan')})", "not JSON compliant"),
    ],
)
async def test_more_than_may_be_sent_is_a_word_on_stderr(session: Session, code: str, said: str) -> None:
    result = await session.run(code)
    assert result.outcome.status == "completed"
    assert said in result.stderr
    assert all(not display.metadata for display in displays(result))
    assert await session.says("print('alive')") == "alive"


async def test_bytes_that_are_no_text_stay_as_they_are(session: Session) -> None:
    given = "{'audio/wav': b'\\xff\\0', 'application/x-own': b'\\xfe', 'application/xml': '<a/>', 'image/png': '/w=='}"
    display = await shown(session, f"display({given}, raw=True)")
    assert display.data == {
        "audio/wav": b"\xff\0",
        "application/x-own": b"\xfe",
        "application/xml": b"<a/>",
        "image/png": b"\xff",
    }


async def test_displays_without_end_are_left_out_and_said(session: Session) -> None:
    result = await session.run("for number in range(5000): display(number)", timeout=60)
    assert result.outcome.status == "completed"
    assert (len(result.outputs), result.displays_left_out) == (257, 4000 - 256)
    assert "Left out: 1000 displays" in result.stderr


# -- order -------------------------------------------------------------------------------------------------


async def test_stdout_and_stderr_are_told_in_their_order(session: Session) -> None:
    code = """
        import os, subprocess, sys, warnings
        for number in range(30):
            print("out", number)
            print("err", number, file=sys.stderr)
        print("before", end="")
        subprocess.run(["sh", "-c", "echo child >&2"])
        print("after")
    """
    result = await session.run(code)
    told = [output.text for output in result.outputs if isinstance(output, results.Stream)]
    steps = [text for number in range(30) for text in (f"out {number}\n", f"err {number}\n")]
    assert told[:60] == steps
    assert told[60:] == ["before", "child\n", "after\n"]


async def test_many_changes_between_the_streams_end_well(session: Session) -> None:
    code = """
        import sys
        for number in range(5000):
            print(number)
            print(number, file=sys.stderr)
    """
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed"
    numbers = "".join(f"{number}\n" for number in range(5000))
    assert (result.stdout, result.stderr) == (numbers, numbers)


async def test_threads_and_replaced_streams_do_not_wait_for_each_other(session: Session) -> None:
    code = """
        import io, logging, sys, threading
        def work(number):
            for step in range(50):
                print("out", number, step)
                print("err", number, step, file=sys.stderr)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads: thread.start()
        work(4)
        for thread in threads: thread.join()
        sys.stdout, kept = io.StringIO(), sys.stdout
        print("hidden"); logging.warning("seen")
        sys.stdout = kept
    """
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed"
    assert result.stdout.count("out") == result.stderr.count("err") == 250
    assert "WARNING:root:seen" in result.stderr


async def test_what_a_thread_shows_comes_in_its_order(session: Session) -> None:
    code = """
        import sys, threading
        def work(name):
            for step in range(30):
                sys.stdout.write(f"out {name} {step}\\n")  # a print's line and its end are two
                display((name, step))
                sys.stderr.write(f"err {name} {step}\\n")
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads: thread.start()
        work("main")
        for thread in threads: thread.join()
    """
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed", result.outcome
    told: list[str] = []
    for output in result.outputs:
        if isinstance(output, results.Stream):
            told += output.text.splitlines()
        elif isinstance(output, results.Display):
            told.append("shown {} {}".format(*ast.literal_eval(output.data["text/plain"].decode())))
    for name in ("a", "b", "c", "main"):
        own = [line for line in told if line.split()[1] == name]
        assert own == [f"{what} {name} {step}" for step in range(30) for what in ("out", "shown", "err")]


async def test_a_thread_that_outlives_its_run_harms_none_that_follow(session: Session) -> None:
    code = """
        import sys, threading, time
        def work():
            while True:
                display("thread"); print("out"); print("err", file=sys.stderr); time.sleep(0.001)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        time.sleep(0.05)
    """
    assert (await session.run(code)).outcome.status == "completed"
    for number in range(20):
        result = await session.run(f"display('main {number}')\ntime.sleep(0.01)\n{number}")
        assert result.outcome.status == "completed", result.outcome
        main = [one.data["text/plain"] for one in displays(result) if one.data["text/plain"] != b"'thread'"]
        assert main == [f"'main {number}'".encode(), str(number).encode()]
        assert any(one.data["text/plain"] == b"'thread'" for one in displays(result))


async def test_handlers_of_signals_may_show_at_any_moment(session: Session) -> None:
    code = """
        import signal, sys
        count = 0
        def tick(*_):
            global count
            count += 1
            if count <= 100:
                display(f"tick {count}")
                signal.setitimer(signal.ITIMER_REAL, 0.001)
        signal.signal(signal.SIGALRM, tick)
        handle = display("", display_id=True)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        while count <= 100:
            print("out")
            print("err", file=sys.stderr)
            handle.update("x" * 20_000)
    """
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed", result.outcome
    shown = [display.data["text/plain"] for display in displays(result)]
    assert [text for text in shown if b"tick" in text] == [f"'tick {n}'".encode() for n in range(1, 101)]


@pytest.mark.parametrize("stop", ["(time.sleep(0.3), own(number))", "None"], ids=["late", "never"])
async def test_an_interpreter_that_does_not_stop_itself_is_stopped(session: Session, stop: str) -> None:
    """At the end of a run; and one that does so later, when it was let go on, goes on all the same."""
    result = await session.run(
        f"""
        import time
        from belljar.guest import cell
        own = cell._raise_signal
        cell._raise_signal = lambda number: {stop}
        """
    )
    assert result.outcome.status == "completed", result.stderr
    for number in range(3):
        assert await session.says(f"print({number})") == str(number)


async def test_what_was_not_flushed_is_not_printed_by_a_forked_child(session: Session) -> None:
    code = """
        import os
        print("once", end="")
        if os.fork() == 0:
            display("of a child")
            os._exit(0)
        os.wait()
    """
    assert await session.says(code) == "once'of a child'"


# -- beside Python -----------------------------------------------------------------------------------------


async def test_tracebacks_stay_right_beside_magics(session: Session) -> None:
    result = await session.run("!true\n\nx = 1 / 0")
    assert '  File "<cell 1>", line 3, in <module>' in result.stderr
    result = await session.run("%%time\ny = 1\ny / 0")
    assert '  File "<cell 2>", line 3, in <module>\n    y / 0\n    ~~^~~\n' in result.stderr
    assert "inside.zip" not in result.stderr
    result = await session.run("%timeit -n 1 -r 1  y / 0")
    assert "    %timeit -n 1 -r 1  y / 0\n                       ~~^~~\n" in result.stderr
    result = await session.run("!ls\nif x\n")
    assert (result.outcome.reason, "line 2" in result.stderr) == ("SyntaxError", True)


_SATISFIED = (
    "Requirement already satisfied: numpy>=1 (numpy VERSION is installed)\n"
    "Requirement already satisfied: sklearn (sklearn can be imported)"
)


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("%%bash --out text\necho $((6 * 7))", ""),
        ("!exit 3\nprint(_exit_code)", "3"),
        ("x = !printf 'b\\na'\nprint(x.n, x.s, x.grep('a'), x.fields(0))", "b\na b a ['a'] ['b', 'a']"),
        ("v = 5\n!echo {v + 1} $v $$HOME $HOME", "6 5 /tmp /tmp"),
        ("def f(local):\n    !echo {local}\nf('mine')", "mine"),
        ("%%writefile -a notes.txt\ntext", "Appending to notes.txt"),
        ("%env A_NAME=value\nimport os\nprint(os.environ['A_NAME'])", "env: A_NAME=value\nvalue"),
        ("%%script cat\nas it stands", "as it stands"),
        ("r = %timeit -o -q -n 1 -r 2 1\nprint(r.loops, r.repeat, len(r.timings))", "1 2 2"),
        ("%reset -f\n%who", "Interactive namespace is empty."),
        (
            "from IPython.utils.capture import capture_output\nwith capture_output() as c: print(1)\nc.stdout;",
            "",
        ),
        ("%matplotlib notebook", ""),
        ("%%capture c\n!echo hidden; echo too >&2", ""),
        ("%%capture c\n%%bash\necho hidden; echo too >&2", ""),
        ("with __import__('contextlib').redirect_stdout(None): pass\n!echo seen", "seen"),
        ("!pip install -q numpy>=1 sklearn -i https://x/ 2>&1 > /dev/null", _SATISFIED),
        ("open('r.txt', 'w').write('numpy>=1 # why\\nsklearn')\n%pip install -r r.txt", _SATISFIED),
        ("%pip install .", None),
        ("!pip install no-such-package", None),
        ("!pip --version >/dev/null 2>&1; echo chained", "chained"),
        ("!pip install 'numpy>=1' && pip3 install sklearn", _SATISFIED),
        ("%%bash\npip install 'numpy>=1'\npip3 install sklearn", _SATISFIED),
        ("x = !pip install nowhere || echo failed\nprint(x[-1])", "failed"),
        ("%run no_such_file", None),
        ("%store x", None),
        ("%%unheard\n1", None),
        ("%timeit", None),
        ("%env NO_SUCH_VARIABLE", None),
        ("%timeit -n many 1", None),
        ("%%sh\nexit 7", None),
    ],
)
async def test_magics(session: Session, code: str, printed: str | None) -> None:
    result = await session.run(code)
    if printed is None:
        assert result.outcome.status == "raised"
        assert result.outcome.reason in ("UsageError", "FileNotFoundError", "CalledProcessError")
    else:
        said = re.sub(r"numpy [\d.]+ is", "numpy VERSION is", result.stdout.strip())
        assert (result.outcome.status, said) == ("completed", printed), result.stderr


async def test_modules_that_changed_are_imported_anew(session: Session) -> None:
    await session.run("%%writefile changing.py\ndef value(): return 'old'")
    await session.run("%load_ext autoreload\n%autoreload 2\nimport changing\nfrom changing import value")
    await session.run("%%writefile changing.py\ndef value(): return 'new one'")
    assert await session.says("print(value(), changing.value())") == "new one new one"
    await session.run("%%writefile changing.py\ndef value(: return")
    result = await session.run("print(value())")
    assert result.stdout == "new one\n"
    assert "autoreload of changing failed: SyntaxError" in result.stderr


async def test_code_that_speaks_to_a_notebook(session: Session) -> None:
    code = """
        from IPython import get_ipython
        from IPython.core.magic import Magics, line_magic, magics_class, register_cell_magic
        @magics_class
        class Mine(Magics):
            @line_magic
            def twice(self, line): return line * 2
        ip = get_ipython()
        ip.register_magics(Mine)
        @register_cell_magic
        def upper(line, cell): print(cell.upper())
        ip.events.register("post_execute", lambda: print("after"))
        ip.push({"pushed": 5})
        print(pushed, ip.run_cell("pushed + 1").result, ip.config, ip.run_line_magic("twice", "ab"))
    """
    assert (await session.says(code)).splitlines() == ["5 6 {} abab", "after"]
    assert await session.says("%%upper\nquiet") == "QUIET\nafter"


async def test_libraries_do_not_take_it_for_ipython(session: Session) -> None:
    code = """
        import IPython
        import sympy
        sympy.init_printing()
        from tqdm.auto import tqdm
        import matplotlib.pyplot as plt
        plt.ion(); plt.plot([1])
        sum(tqdm([1, 2], disable=True))
    """
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed", result.stderr
    value, figure = displays(result)
    assert (list(value.data), "image/png" in figure.data) == (["text/plain"], True)


async def test_a_picture_of_a_file(session: Session) -> None:
    code = """
        from PIL import Image as Pictures
        from IPython.display import Image
        Pictures.new("RGB", (3, 2)).save("small.jpg")
        Image("small.jpg", width=30)
    """
    display = await shown(session, code)
    assert set(display.data) == {"text/plain", "image/jpeg"}
    assert display.metadata == {"image/jpeg": {"width": 30}}
    refused = await session.run("Image(url='https://example.com/x.png')")
    assert "there is no network here" in refused.stderr


# -- input and ends ----------------------------------------------------------------------------------------


async def test_input(session: Session) -> None:
    code = "import getpass\nprint(input('name? '), getpass.getpass())"
    result = await session.run(code, stdin="Ada\nsecret\n")
    assert result.stdout == "name? Password: Ada secret\n"
    assert result.stderr == ""
    result = await session.run(code, stdin="Ada")
    assert result.outcome.reason == "EOFError"
    assert "stdin" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("code", ["exit", "quit", "exit()", "import sys; sys.exit()"])
async def test_ends(session: Session, code: str) -> None:
    result = await session.run(f"print('here')\n{code}")
    assert (result.outcome.status, result.return_code, result.stdout) == ("exited", 0, "here\n")
    assert await session.says("print(input.__name__)") == "input"


# -- processes ---------------------------------------------------------------------------------------------

WORK = """
import multiprocessing
import textwrap as tw
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

FACTOR = 10
table = {"a": [1, 2]}

@dataclass
class Point:
    x: int
    def scaled(self): return Point(self.x * FACTOR)

def work(point, more=FACTOR):
    print("worked")
    return point.scaled(), more + len(table["a"]), tw.indent("x", " ")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_processes_know_what_cells_have_defined(session: Session, method: str) -> None:
    await session.run(WORK)
    await session.run("FACTOR = 100\nopen('/tmp/ran', 'a').write('x')")
    code = f"""
        context = multiprocessing.get_context("{method}")
        with context.Pool(2) as pool:
            print(pool.map(work, [Point(1), Point(2)]))
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            print(pool.submit(work, Point(3)).result())
        print(open("/tmp/ran").read())
    """
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "completed", result.stderr
    lines = result.stdout.splitlines()
    assert lines.count("worked") == 3
    assert [line for line in lines if line != "worked"] == [
        "[(Point(x=100), 12, ' x'), (Point(x=200), 12, ' x')]",
        "(Point(x=300), 12, ' x')",
        "x",  # what the cells did is not done again
    ]


async def test_what_a_spawned_process_does_not_know_it_says(session: Session) -> None:
    code = """
        import multiprocessing, threading
        lock, large = threading.Lock(), b"x" * 17 * 2**20
        if True:
            def hidden(x): return x
        def locks(x): return lock
        def measures(x): return len(large)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            for function in (hidden, locks, measures):
                try:
                    print(pool.apply(function, (1,)))
                except NameError as error:
                    print(error)
    """
    lines = (await session.says(code)).splitlines()
    assert lines[0].startswith("a spawned process does not know 'hidden': it is not defined at the top level")
    assert "lock" in lines[1]
    assert "large" in lines[2]


async def test_ipython_itself_is_used_where_it_is(session: Session) -> None:
    """A package of that name in the working directory, with the parts that are changed on import."""
    files: dict[str, str] = {
        "IPython/__init__.py": "from IPython.core.display_functions import display\nreal = True\n",
        "IPython/core/__init__.py": "",
        "IPython/core/display_functions.py": "def display(*a): raise RuntimeError\n"
        "update_display = clear_output = publish_display_data = DisplayHandle = display\n",
        "IPython/display.py": "from IPython.core.display_functions import *\n"
        "class HTML:\n    def _repr_html_(self): return 'real'\n",
    }
    write: Any = f"""
        import os
        for name, text in {files!r}.items():
            os.makedirs(os.path.dirname(name), exist_ok=True)
            open(name, "w").write(text)
        from IPython.display import HTML, display
        import IPython
        assert IPython.real
        display(HTML())
    """
    display = await shown(session, write)
    assert display.data["text/html"] == b"real"
