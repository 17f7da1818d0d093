"""What is told of an exception besides its traceback: the user's own lines, the values at hand, a hint."""

from __future__ import annotations

import pytest
from jail import Session, has_cgroups, opened

from belljar import link, results

pytestmark = pytest.mark.anyio


async def raised(session: Session, code: str, **asked: object) -> results.Raised:
    result = await session.run(code, **asked)  # type: ignore[arg-type]
    found = result.outputs[-1]
    assert isinstance(found, results.Raised), result
    assert result.stderr.endswith("".join(f"{line}\n" for line in found.traceback))
    assert found.brief
    return found


def shown(told: results.Raised) -> dict[str, str]:
    return {value.name: f"{value.type}: {value.text}" for value in told.values}


def lines(told: results.Raised) -> list[str]:
    """Without the marks, which differ between versions of Python."""
    return [line for line in told.brief if line.strip(" ~^")]


# -- the traceback in brief --------------------------------------------------------------------------------


async def test_calls_of_libraries_are_one_line(session: Session) -> None:
    told = await raised(
        session, "import json\n\ndef load(text):\n    return json.loads(text)\n\nload('[1, }')\n"
    )
    assert lines(told)[:5] == [
        "Traceback (most recent call last):",
        '  File "<cell 1>", line 6, in <module>',
        "    load('[1, }')",
        '  File "<cell 1>", line 4, in load',
        "    return json.loads(text)",
    ]
    assert lines(told)[5] == "  [2 calls inside json]"
    assert lines(told)[6].startswith('  File "json/decoder.py", line ')
    assert lines(told)[-1].startswith("json.decoder.JSONDecodeError: ")
    assert len(told.traceback) > len(told.brief)
    first, second, last = told.frames
    assert (first.file, first.line, first.function, first.code) == (
        "<cell 1>",
        6,
        "<module>",
        "load('[1, }')",
    )
    assert (second.line, second.function, second.is_own, second.left_out) == (4, "load", True, 0)
    assert (last.file, last.is_own, last.left_out) == ("json/decoder.py", False, 2)
    assert shown(told) == {"text": "str: '[1, }'"}


async def test_a_function_of_the_users_that_a_library_calls_is_shown(session: Session) -> None:
    told = await raised(session, "import re\nre.sub('a', lambda match: 1 / 0, 'banana')\n")
    assert [(frame.function, frame.is_own, frame.left_out) for frame in told.frames] == [
        ("<module>", True, 0),
        ("<lambda>", True, 1),
    ]
    assert "  [1 call inside re]" in told.brief


async def test_calls_that_go_round_are_told_once(session: Session) -> None:
    told = await raised(session, "def f(n): return g(n)\ndef g(n): return f(n + 1)\nf(0)\n")
    assert any("these 2 calls" in line and "more times" in line for line in told.brief)
    assert len(told.brief) < 30
    assert sum(frame.left_out for frame in told.frames) > 900
    told = await raised(
        session, "import sys\nsys.setrecursionlimit(20_000)\ndef f(n): return f(n + 1)\nf(0)\n"
    )
    assert len(told.brief) < 30


async def test_chains_groups_and_syntax_errors(session: Session) -> None:
    told = await raised(
        session,
        """
        def low():
            raise ValueError("low")
        def high():
            try:
                low()
            except ValueError as error:
                raise RuntimeError("high") from error
        high()
        """,
    )
    text = "\n".join(told.brief)
    assert "ValueError: low" in text and "direct cause" in text and "RuntimeError: high" in text
    assert [frame.function for frame in told.frames] == ["<module>", "high"]
    told = await raised(
        session,
        """
        def part(n):
            divisor = n - 2
            return 1 / divisor
        found = []
        for n in range(4):
            try: part(n)
            except Exception as error: found.append(error)
        raise ExceptionGroup("some parts", found)
        """,
    )
    text = "\n".join(told.brief)
    assert "some parts (1 sub-exception)" in text and "ZeroDivisionError" in text
    assert shown(told)["divisor"] == "int: 0"
    assert [frame.function for frame in told.frames] == ["<module>", "<module>", "part"]
    assert results.notes(told)[0] == "In part, line 4:"
    told = await raised(session, "x = 1\ny = (2,\n")
    (frame,) = told.frames
    assert (frame.file, frame.line, frame.function, frame.code) == ("<cell 3>", 2, "", "y = (2,")


async def test_what_a_library_says_twice_is_told_once(session: Session) -> None:
    told = await raised(session, "import pandas as pd\npd.DataFrame({'a': [1]})['b']\n")
    assert "direct cause" in "\n".join(told.traceback)
    assert "direct cause" not in "\n".join(told.brief)
    assert told.brief.count("KeyError: 'b'") == 1
    told = await raised(session, "pd.DataFrame({'a': [1]}).loc[5]\n")
    assert "ValueError: 5 is not in range" in told.brief


async def test_a_module_of_the_users_is_their_own(session: Session) -> None:
    await session.put("helper.py", b"def f(x):\n    return x.missing\n")
    told = await raised(session, "import helper\nhelper.f(3)")
    assert [(frame.file, frame.is_own) for frame in told.frames] == [("<cell 1>", True), ("helper.py", True)]
    assert shown(told) == {"x": "int: 3"}


# -- values ------------------------------------------------------------------------------------------------


async def test_values_of_the_line_come_first_and_all_are_bounded(session: Session) -> None:
    told = await raised(
        session,
        """
        def f(rows):
            filler = {n: "x" * 1000 for n in range(1000)}
            text, many = "é" * 100_000, list(range(10_000_000 // 100))
            number, data = 10 ** 100_000, bytes(1_000_000)
            return rows["total"] + number
        f({"sum": 1, "place": "Oslo"})
        """,
    )
    values = shown(told)
    assert list(values)[:2] == ["rows", "number"]
    assert values["rows"] == "dict: 2 items: {'sum': 1, 'place': 'Oslo'}"
    assert values["number"].startswith("int: a number of 3")
    assert values["many"] == "list: 100,000 items: [0, 1, 2, 3, 4, 5, …]"
    assert values["text"].endswith("(100,000 characters)")
    assert values["data"].endswith("(1,000,000 bytes)")
    assert sum(map(len, values.values())) < 3000


async def test_no_method_of_the_codes_own_is_called_for_a_value(session: Session) -> None:
    told = await raised(
        session,
        """
        import sys
        class Meta(type):
            @property
            def __module__(cls): sys.exit(7)
            def __instancecheck__(cls, other): sys.exit(7)
        class Odd(metaclass=Meta):
            def __init__(self): self.size = 3
            def __repr__(self):
                while True: pass
            __str__ = __len__ = __iter__ = __eq__ = __hash__ = __repr__
            def __getattr__(self, name): self.__repr__()
            @property
            def __class__(self): self.__repr__()
        class Items(dict):
            def items(self): sys.exit(7)
            __len__ = __iter__ = __getitem__ = items
        def f(odd, items):
            return odd + items
        f(Odd(), Items(a=1))
        """,
        timeout=20,
    )
    assert told.ename == "TypeError"
    assert shown(told) == {"odd": "Odd: with size=3", "items": "Items: 1 item: {'a': 1}"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Claims()", "Claims: a Claims"),
        ("Properties()", "Properties: a Properties"),
        ("slice(Loud(), None)", "slice: slice(a Loud, None, None)"),
        ("Unread('x', Loud())", "Unread: ('x', a Loud)"),
        ("{1: Loud(), Loud(): 2}", "dict: 2 items: {1: with no attributes of its own, a Loud: 2}"),
        ("Text('abc')", "Text: 'abc'"),
        ("Number(7)", "Number: 7"),
        ("memoryview(bytearray(2**28)).cast('B', (1, 2**28))", "memoryview: shape (1, 268435456)"),
    ],
)
async def test_values_that_would_do_something_are_not_asked(session: Session, value: str, text: str) -> None:
    told = await raised(
        session,
        f"""
        import numpy, os, shutil
        def act(*args, **named):
            os.write(1, b"asked")
            if os.fork():
                print("x" * 1_000_000_000)
            shutil.rmtree(".")
        class Loud:
            __repr__ = __str__ = __format__ = __len__ = __sizeof__ = __bool__ = act
        class Claims:
            __module__ = "numpy"
            __getattr__ = __repr__ = __len__ = act
        class Properties(Loud):
            __dict__ = __class__ = shape = property(act)
        class Unread(Exception):
            args = property(act)
        class Text(str):
            __repr__ = __str__ = __len__ = __getitem__ = act
        class Number(int):
            __repr__ = __str__ = bit_length = __int__ = act
        def f(value):
            1 / 0
        f({value})
        """,
        timeout=20,
    )
    assert told.ename == "ZeroDivisionError"
    assert shown(told) == {"value": text}
    assert await session.says("print('here')") == "here"


async def test_the_body_of_a_class_with_variables_of_its_own(session: Session) -> None:
    told = await raised(
        session,
        """
        class Names(dict):
            def keys(self):
                while True: pass
            __iter__ = items = get = keys
        class Meta(type):
            def __prepare__(name, bases): return Names()
        class Odd(metaclass=Meta):
            price = 1
            {}["x"]
        """,
        timeout=20,
    )
    assert (told.ename, told.values) == ("KeyError", [])


async def test_texts_that_are_called_a_secret_are_not_shown(session: Session) -> None:
    told = await raised(
        session,
        """
        class Login:
            def __init__(self): self.user, self.passwd = "me", b"swordfish"
        def f(api_key, login, tokens, options):
            return tokens[9]
        f("swordfish", Login(), ["a"], {"user": "me", "db_password": "swordfish", "secret_count": 3})
        """,
    )
    assert shown(told) == {
        "tokens": "list: 1 item: ['a']",
        "api_key": "str: (9 long, not shown)",
        "login": "Login: with user='me', passwd=(9 long, not shown)",
        "options": "dict: 3 items: {'user': 'me', 'db_password': (9 long, not shown), 'secret_count': 3}",
    }


async def test_tables_and_arrays_by_shape_and_types(session: Session) -> None:
    told = await raised(
        session,
        """
        import numpy as np, pandas as pd
        def f():
            table = pd.DataFrame({"place": ["a"], "price": [1.5]})
            left, right = np.zeros((300, 4)), np.array([1, 2])
            column = table["price"]
            return table @ left @ right + column
        f()
        """,
    )
    values = shown(told)
    assert values["table"].startswith("DataFrame: 1 rows × 2 columns: 'place' ")
    assert "'price' float64" in values["table"]
    assert values["left"] == "ndarray: shape (300, 4), dtype float64"
    assert values["right"] == "ndarray: shape (2,), dtype int64: [1, 2]"
    assert values["column"] == "Series: length 1, dtype float64, name 'price'"


# -- hints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("open('Data.csv', 'w').write('x')\nopen('data.csv')", "'Data.csv': upper and lower case differ"),
        ("open('sales.csv', 'w').write('x')\nopen('/mnt/data/sales.csv')", "There is 'sales.csv'"),
        ("open('sales.csv', 'w').write('x')\nopen('salse.csv')", "Close names: 'sales.csv'"),
        ("open('out/report.csv', 'w')", "There is no directory 'out'"),
        ("open('r.csv', 'w')\nopen('out/r.csv', 'w')", "There is no directory 'out'"),
        (
            "import os\nos.symlink('loop', 'loop')\nopen('a.csv', 'w')\nopen('b.tsv')",
            "there is: 'a.csv', 'loop'",
        ),
        ("open('e\\u0301.txt', 'w')\nopen('\\xe9.txt')", "other code points (Unicode NFD)"),
        ("import os\nopen(os.environ['OUTPUT_DIR'] + '/r.txt', 'w')\nopen('r.txt')", "There is '/"),
        ("open('/etc/new', 'w')", "can be written to"),
        ("import subprocess\nsubprocess.run(['ffmpeg'])", "There is no program 'ffmpeg'"),
        ("import cv2", "PIL"),
        ("import requests", "There is no network"),
        (
            "import subprocess, sys\n"
            "subprocess.check_call([sys.executable, '-m', 'pip', 'install', '-q', 'polars>=1', 'pandas'])",
            "Installed, and can do much of the same: pandas, pyarrow. 'polars' is not installed. "
            "'pandas' is installed. There is no network",
        ),
        (
            "import subprocess\nsubprocess.run('pip install scikit-lern', shell=True, check=True)",
            "no network",
        ),
        (
            "import subprocess\nsubprocess.run('apt-get -y install ffmpeg', shell=True, check=True)",
            "no network",
        ),
        ("import beautifulsoup4", "is imported as 'bs4'"),
        ("import numpi", "numpy"),
        ("import email.parsre", "Close names: parser"),
        ("import os\nos.mkdir('lib'); open('lib/own.py', 'w')\nimport own", "'lib/own.py' lies in a folder"),
        ("from collections import OrderedDic", "OrderedDict"),
        ("data = {'a': {'price': 1}}\ndata['a']['pirce']", "There is 'price'"),
        ("class Box: pass\nbox = Box(); box.rows = [{'Name': 1}]\nbox.rows[0]['name']", "There is 'Name'"),
        ("import collections\nd = collections.defaultdict(dict)\nd['a']['x']", "The keys are: none"),
        ("counts = {'1': 2}\ncounts[1]", "'1', which is of the type str"),
        ("total = 1\nprint(totla)", "Did you mean 'total'"),
        ("np.zeros(3)", "import numpy as np"),
        ("'x'.uper()", "'upper'"),
        ("import datetime\ndatetime.now()", "there is datetime.datetime.now."),
        (
            "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table Sales(id, price)')\n"
            "c.execute('select * from sale')",
            "There is no table 'sale', but 'Sales'. The tables are: Sales (id, price).",
        ),
        (
            "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table Sales(id, price)')\n"
            "c.execute('select s.prize from Sales s')",
            "There is no column 'prize', but 'price'.",
        ),
        ("import urllib.request\nurllib.request.urlopen('http://example.com')", "There is no network"),
        ("open('t', 'wb').write('東京タワーはきれい'.encode('shift_jis'))\nopen('t').read()", "'shift_jis'"),
        (
            "open('t', 'wb').write(b'a,b\\n' * 50_000 + 'Köln'.encode('cp1252'))\nopen('t').read()",
            "'cp1252'",
        ),
        ("open('t', 'wb').write(b'\\x89PNG\\r\\n')\nopen('t').read()", "a PNG image"),
        (
            "try:\n    open('gone')\nexcept OSError as e:\n    raise RuntimeError('no input') from e",
            "there is: nothing",
        ),
    ],
)
async def test_a_hint(session: Session, code: str, says: str) -> None:
    told = await raised(session, code)
    assert told.hint is not None
    assert says in told.hint
    assert len(told.hint) <= 1000


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("df['pirce']", "There is no column 'pirce', but 'price'. The columns are: 'price', 'Qty '."),
        ("df['qty']", "There is no column 'qty', but 'Qty '."),
        ("df[['price', 'qty']]", "There is no column 'qty', but 'Qty '."),
        ("df.groupby('Price').sum()", "but 'price'"),
        ("df.merge(df, on='Price')", "but 'price'"),
        ("df.drop(columns=['Price'])", "but 'price'"),
        ("df.groupby('price').agg({'qty': 'sum'})", "but 'Qty '"),
        ("df.groupby('price')['qty'].sum()", "but 'Qty '"),
        ("df.groupby('price')[['qty']].sum()", "but 'Qty '"),
        ("df.drop(columns=['qty', 'prices'])", "There is no column 'prices', but 'price'"),
        ("df.pirce", "'price'"),
        ("df.loc['b']", "The labels are: 'a'."),
        (
            "import sqlite3\nc = sqlite3.connect(':memory:')\ndf.to_sql('t', c)\npd.read_sql('select x from t', c)",
            "The tables are: t (index, price, Qty ).",
        ),
        ("df.append(df)", "pd.concat"),
        ("open('t', 'wb').write('städte\\nKöln'.encode('cp1252'))\npd.read_csv('t')", "'cp1252'"),
        ("open('t', 'wb').write('名前\\nです'.encode('shift_jis'))\npd.read_csv('t')", "'shift_jis'"),
    ],
)
async def test_a_hint_on_a_table(keeper: link.Keeper, code: str, says: str) -> None:
    async with opened(keeper) as session:
        table = "import pandas as pd\ndf = pd.DataFrame({'price': [1], 'Qty ': [2]}, index=['a'])\n"
        told = await raised(session, table + code)
        assert told.hint is not None
        assert says in told.hint


async def test_no_hint_where_there_is_none_to_give(session: Session) -> None:
    for code in (
        "1 / 0",
        "raise KeyError",
        "raise KeyError('x')",
        "raise OSError",
        "raise ImportError('x')",
        "raise AttributeError",
        "import subprocess\nsubprocess.check_call(['false'])",
        "import subprocess\nsubprocess.check_call('false install x', shell=True)",
    ):
        assert (await raised(session, code)).hint is None
    result = await session.run("try:\n    open('gone')\nexcept OSError:\n    print('handled')")
    assert (result.outcome.status, result.stderr) == ("completed", "")


async def test_many_names_are_a_few(session: Session) -> None:
    told = await raised(session, "for n in range(3000): open(f'{n}' * 20, 'w').close()\nopen('gone.csv')")
    assert told.hint is not None
    assert "more" in told.hint
    assert len(told.hint) <= 1000


async def test_what_is_too_much_for_memory(session: Session) -> None:
    told = await raised(
        session,
        """
        import numpy as np
        kept = np.ones((1000, 1000, 10))
        np.ones((10**6, 10**6))
        """,
    )
    assert told.hint is not None
    assert "The session has 1024 MiB of memory" in told.hint
    assert "kept (ndarray, 76 MiB)" in told.hint


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (
            """
            import time
            kept = []
            def load():
                kept.append(bytearray(b"x") * 2**20)
                time.sleep(0.002)
            print("begun")
            while True:
                load()
            """,
            (5, 6, 9),
        ),
        ("print('begun')\ndef f(n):\n    return [str(i) * 20 for i in range(n)]\nf(10**9)\n", (3,)),
    ],
    ids=["in many pieces", "in one expression"],
)
async def test_where_memory_was_used_up(
    session: Session, keeper: link.Keeper, code: str, line: tuple[int, ...]
) -> None:
    if not has_cgroups(keeper):
        pytest.skip("without a cgroup the kernel refuses memory, and kills nobody")
    result = await session.run(code, timeout=60)
    assert (result.outcome.status, result.stdout) == ("out_of_memory", "begun\n")
    told = result.outputs[-1]
    assert isinstance(told, results.Raised), result
    assert told.ename == "MemoryError"
    assert told.frames[-1].line in line
    assert told.hint is not None
    assert told.hint.startswith("The session has 1024 MiB of memory (peak 1024 MiB).")
    assert await session.says("print('alive')") == "alive"


async def test_where_memory_was_used_up_by_code_that_says_so_once(
    session: Session, keeper: link.Keeper
) -> None:
    if not has_cgroups(keeper):
        pytest.skip("without a cgroup the kernel refuses memory, and kills nobody")
    result = await session.run(
        """
        import signal, time
        most = bytearray(b"x") * (820 * 2**20)
        time.sleep(1)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        rest = bytearray(b"x") * (90 * 2**20)
        time.sleep(1)
        rest = bytearray(b"x") * (900 * 2**20)
        """,
        timeout=60,
    )
    told = result.outputs[-1]
    assert result.outcome.status == "out_of_memory"
    assert isinstance(told, results.Raised), result
    assert told.frames[-1].line in (3, 4)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("kept = []\nwhile True:\n    kept.append(b'x' * 10**7)\n", "kept (list"),
        ("import numpy as np\nlarge = np.ones(80 * 10**6)\nmore = np.ones(10**8)\n", "large (ndarray, 610 MiB)"),
        ("import numpy as np\nlarge = np.ones(80 * 10**6); more = np.ones(10**8)", "large (ndarray, 610 MiB)"),
        ("def load():\n    rows = {}\n    for n in range(600): rows[n] = b'x' * 10**6\n    bytes(10**9).upper()\n"
         "load()", "rows (dict, "),
    ],
    ids=["a list that grows", "arrays", "on one line", "in a function"],
)  # fmt: skip
async def test_what_took_most_where_memory_was_used_up(
    session: Session, keeper: link.Keeper, code: str, name: str
) -> None:
    if not has_cgroups(keeper):
        pytest.skip("without a cgroup the kernel refuses memory, and kills nobody")
    result = await session.run(code, timeout=60)
    assert result.outcome.status == "out_of_memory"
    told = result.outputs[-1]
    assert isinstance(told, results.Raised), result
    assert told.hint is not None
    assert name in told.hint
    assert "`del` what is not needed" in told.hint


async def test_who_is_asked_what_takes_most_is_followed_no_longer_than_needed(session: Session) -> None:
    result = await session.run(
        """
        import sys, time
        def debugger(*_): return None
        def fill(n):
            block = bytearray(n)
            for at in range(0, n, 4096): block[at] = 1
            time.sleep(0.2)
            return block
        one = fill(500 * 2**20)
        print(sys.gettrace(), sys._getframe().f_trace, sys._getframe().f_trace_opcodes)
        sys.settrace(debugger)
        two = fill(200 * 2**20)
        print(sys.gettrace() is debugger)
        sys.settrace(None)
        """,
        timeout=60,
    )
    assert (result.outcome.status, result.stdout) == ("completed", "None None False\nTrue\n"), result


async def test_a_run_that_comes_near_its_memory_does_not_notice(session: Session) -> None:
    result = await session.run(
        """
        import sys, time
        kept = []
        for n in range(900):
            kept.append(bytearray(2**20))
            for at in range(0, 2**20, 4096): kept[-1][at] = 1
            if n % 10 == 0: print(n, file=sys.stderr)
        time.sleep(0.3)
        print("done")
        """,
        timeout=60,
    )
    assert (result.outcome.status, result.stdout) == ("completed", "done\n")
    assert result.stderr == "".join(f"{n}\n" for n in range(0, 900, 10))
    result = await session.run(
        """
        import os, time
        del kept
        if os.fork() == 0:
            time.sleep(0.3)
            large = b"x" * (900 * 2**20)
            time.sleep(5)
            os._exit(0)
        os.execvp("sh", ["sh", "-c", "sleep 2; echo other"])
        """,
        timeout=60,
    )
    assert (result.stdout, result.return_code) == ("other\n", 0)


async def test_an_exception_of_odd_characters_is_told_whole(session: Session) -> None:
    """As JSON a character can have six bytes."""
    for character in ("\\x01", "\\ud800", "\\U0001f600", "界"):
        told = await raised(session, f"x = '{character}' * 40_000\nraise Exception(x)")
        assert told.ename == "Exception"
        assert len(told.evalue) >= 32 * 1024


# -- time-outs ---------------------------------------------------------------------------------------------


async def test_where_it_was_when_the_time_was_up(session: Session) -> None:
    result = await session.run(
        "import time\ndef wait(n):\n    time.sleep(n)\nprint('so far')\nwait(60)\n", timeout=0.5
    )
    assert (result.outcome.status, result.stdout) == ("timed_out", "so far\n")
    told = result.outputs[-1]
    assert isinstance(told, results.Raised)
    assert (told.ename, told.frames[-1].function, told.frames[-1].line) == ("KeyboardInterrupt", "wait", 3)
    assert shown(told)["n"] == "int: 60"
    assert await session.says("print('alive')") == "alive"


async def test_where_it_was_in_an_event_loop(session: Session) -> None:
    result = await session.run(
        "import asyncio\nasync def fetch(n):\n    await asyncio.sleep(n)\nawait asyncio.gather(fetch(60))\n",
        timeout=0.5,
    )
    told = result.outputs[-1]
    assert isinstance(told, results.Raised)
    assert told.ename == "KeyboardInterrupt"
    assert '  File "<cell 1>", line 3, in fetch' in told.brief
    assert shown(told) == {"n": "int: 60"}


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("def f():\n    return sum(range(10**14))\nprint('so far')\nf()\n", 2),
        (
            "def f():\n    while True:\n        try: g()\n        except BaseException: pass\n"
            "def g():\n    while True: pass\n"
            "print('so far')\nf()\n",
            6,
        ),
    ],
    ids=["in C", "it catches the interrupt"],
)
async def test_where_it_is_stuck(session: Session, code: str, line: int) -> None:
    result = await session.run(code, timeout=0.5)
    assert (result.outcome.status, result.stdout) == ("timed_out", "so far\n")
    assert "lost" in result.outcome.message
    told = result.outputs[-1]
    assert isinstance(told, results.Raised)
    assert told.frames[-1].line == line
    assert told.frames[-1].code == code.splitlines()[line - 1].strip()
    assert told.frames[0].function == "<module>"
    assert "belljar" not in result.stderr
    assert await session.says("print('alive')") == "alive"


async def test_what_a_stuck_program_writes_besides_is_not_lost(session: Session) -> None:
    result = await session.run(
        """
        import sys, threading, time
        def chatter():
            while True:
                print("still here", file=sys.stderr, flush=True)
                time.sleep(0.01)
        threading.Thread(target=chatter, daemon=True).start()
        while True:
            try: time.sleep(1)
            except KeyboardInterrupt: pass
        """,
        timeout=0.5,
    )
    assert result.outcome.status == "timed_out"
    assert set(result.stderr.splitlines()) >= {"still here"}
    assert isinstance(result.outputs[-1], results.Raised)
    assert "most recent call first" not in result.stderr


async def test_a_program_that_does_not_say_where_it_is(session: Session) -> None:
    result = await session.run(
        """
        import os, signal
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.close(2)
        while True: pass
        """,
        timeout=0.5,
    )
    assert result.outcome.status == "timed_out"
    assert result.outputs == []
