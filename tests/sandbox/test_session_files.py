"""Files into a session and out of it."""

from __future__ import annotations

import os

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jail import Session, opened

from belljar import link, orders, results
from belljar.errors import InvalidRequest, NotFound
from belljar.records import MIB, Limits

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [0, 1, link.CHUNK_BYTES, 3 * link.CHUNK_BYTES + 7])
async def test_there_and_back(session: Session, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    await session.put("in.bin", data)
    result = await session.run(
        "import shutil, os; print(os.path.getsize('in.bin')); shutil.copy('in.bin', 'out.bin')"
    )
    assert result.stdout == f"{size}\n"
    (file,) = result.files
    assert (file.path, file.size_bytes) == ("out.bin", size)
    assert await session.content(file) == data


async def test_a_file_belongs_to_the_code(session: Session) -> None:
    await session.put("a.txt", b"one")
    code = (
        "import os; s = os.stat('a.txt'); print(s.st_uid, oct(s.st_mode)); open('a.txt', 'a').write(' two')"
    )
    result = await session.run(code)
    assert result.stdout == "1000 0o100644\n"
    assert await session.content(result.files[0]) == b"one two"
    await session.put("a.txt", b"new")
    assert await session.says("print(open('a.txt').read()); os.unlink('a.txt')") == "new"


async def test_a_file_in_pieces(session: Session, keeper: link.Keeper) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        for piece in (b"one ", b"", b"two"):
            yield piece

    await keeper.put(session.name, "a", pieces())
    assert await session.says("print(open('a').read())") == "one two"


@pytest.mark.parametrize(
    "name", ["a b.csv", "ünïcode 猫.txt", "-rf", "..a", "...", "a" * 255, "%s", "~", ".hidden", "CON"]
)
async def test_names(session: Session, name: str) -> None:
    await session.put(name, b"x")
    assert await session.value("import json, os; print(json.dumps(os.listdir('/files/work')))") == [name]


@pytest.mark.parametrize(
    ("written", "name"), [("a\\x0ab", b"a\nb"), ("\\xff", b"\xff"), ("\\x5cx5c", b"\\x5c")]
)
async def test_names_by_other_bytes(session: Session, written: str, name: bytes) -> None:
    await session.put(written, b"x")
    found = await session.value(
        "import json, os; print(json.dumps([os.fsencode(n).hex() for n in os.listdir()]))"
    )
    assert found == [name.hex()]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a\nb",
        "\\xc3\\xa9",
        ".",
        "..",
        "a//b",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a\0b",
        "a" * 256,
        "é" * 128,
        "x/",
        "\0",
        "/".join("d" * 18),
    ],
)
async def test_names_that_are_none_are_refused(session: Session, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await session.put(name, b"x")
    assert await session.says("import os; print(os.listdir('/files/work'))") == "[]"


@pytest.mark.parametrize("name", ["\ud800", "a\udcff", "\ud83d"])
async def test_a_name_that_is_no_text_is_refused_or_kept_as_bytes(
    session: Session, keeper: link.Keeper, name: str
) -> None:
    try:
        await session.put(name, b"x")
    except InvalidRequest:
        assert await session.says("import os; print(os.listdir('/files/work'))") == "[]"
    assert not keeper.is_lost


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(name=st.text(max_size=20), data=st.binary(max_size=50))
async def test_any_name_is_a_file_or_refused(keeper: link.Keeper, name: str, data: bytes) -> None:
    async with opened(keeper) as session:
        try:
            await session.put(name, data)
        except InvalidRequest:
            return
        code = """
            import glob, json, os
            files = [name for name in glob.glob("**", recursive=True, include_hidden=True) if os.path.isfile(name)]
            print(json.dumps([[name, open(name, "rb").read().hex()] for name in files]))
        """
        ((seen, content),) = await session.value(code)
        assert content == data.hex()
        assert seen.encode("utf-8", "surrogateescape") == os.fsencode(name)


async def test_a_file_does_not_go_where_the_code_points_it(session: Session) -> None:
    await session.run(
        """
        import os
        open("/tmp/target", "w").write("kept")
        os.symlink("/tmp/target", "link")
        os.symlink("/tmp", "folder")
        os.mkdir("directory")
        os.link("/tmp/target", "hard")
        """
    )
    for name in ("link", "hard", "folder"):
        await session.put(name, b"put")
    with pytest.raises(InvalidRequest):
        await session.put("directory", b"put")
    code = "print(*(open(name).read() for name in ('/tmp/target', 'link', 'hard', 'folder')))"
    assert await session.says(code) == "kept put put put"


async def test_a_working_directory_that_is_gone_or_turned(session: Session) -> None:
    await session.run("import os; os.rename('/files/work', '/files/moved')")  # its parent is the code's own
    with pytest.raises(InvalidRequest):
        await session.put("x", b"x")
    await session.run("import os; os.symlink('/etc', '/files/work')")
    with pytest.raises(InvalidRequest):
        await session.put("x", b"x")
    result = await session.run("print(1)")
    assert (result.outcome.status, result.files) == ("completed", [])


async def test_a_file_larger_than_the_disk_is_refused(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=2 * MIB) as session:
        await session.put("small", b"precious")
        for name in ("big", "small"):
            with pytest.raises(InvalidRequest, match="No space left"):
                await session.put(name, bytes(3 * MIB))
        # Nothing of it is left, and what had the name has it still.
        assert (
            await session.says("import os; print(os.listdir('.'), open('small').read())")
            == "['small'] precious"
        )
        await session.put("big", bytes(MIB))


async def test_sessions_that_do_not_exist(keeper: link.Keeper) -> None:
    nobody = Session(keeper, "nobody")
    with pytest.raises(NotFound):
        await nobody.put("x", b"")
    with pytest.raises(NotFound):
        await nobody.run("1")
    with pytest.raises(NotFound):
        await nobody.content(results.WorkFile("x", 1, b"work/x".hex()))
    await nobody.close()


# -- what a run made ---------------------------------------------------------------------------------------


async def test_only_what_the_run_made_or_changed_comes_back(session: Session) -> None:
    await session.put("input.csv", b"a,b\n")
    result = await session.run(
        "import os; open('new.txt', 'w').write('n'); os.makedirs('d/e'); open('d/e/f', 'w').write('f')"
    )
    assert [(file.path, file.size_bytes) for file in result.files] == [("d/e/f", 1), ("new.txt", 1)]
    assert (await session.run("open('input.csv').read(); open('/tmp/scratch', 'w').write('x')")).files == []
    result = await session.run("open('input.csv', 'a').write('1,2\\n')")
    assert [(file.path, file.size_bytes) for file in result.files] == [("input.csv", 8)]


async def test_what_is_no_file_does_not_come_back(session: Session) -> None:
    result = await session.run(
        """
        import os, socket
        os.symlink("/etc/passwd", "passwd")
        os.symlink("/proc/self/environ", "environ")
        os.symlink("/", "root")
        os.symlink("loop", "loop")
        os.symlink("/proc/1/root", "magic")
        socket.socket(socket.AF_UNIX).bind("socket")
        os.mkdir("d")
        os.symlink("../..", "d/up")
        open("real", "w").write("r")
        for kind in (0o010000, 0o020000, 0o060000):
            try: os.mknod(f"device-{kind}", 0o666 | kind, os.makedev(1, 3))
            except OSError: pass
        """
    )
    assert [file.path for file in result.files] == ["real"]


async def test_a_forged_handle_reads_nothing(session: Session) -> None:
    await session.run("import os; os.symlink('/etc', 'etc'); open('a', 'w').write('a')")
    for path in ("work/../../etc/passwd", "/etc/passwd", "work/etc/passwd", "output", "", "work"):
        with pytest.raises(InvalidRequest):
            await session.content(results.WorkFile("a", 10, path.encode().hex()))


async def test_thousands_of_files_come_back(session: Session) -> None:
    result = await session.run("for i in range(5000): open(f'{i:05}', 'w').close()")
    assert (result.outcome.status, result.stderr) == ("completed", "")
    assert [file.path for file in result.files] == [f"{number:05}" for number in range(5000)]
    assert result.files_left_out == 0


async def test_more_files_than_one_look_takes_in_are_said_to_be_left_out(session: Session) -> None:
    result = await session.run("for i in range(20_500): open(f'{i:05}', 'w').close()", timeout=60)
    assert result.outcome.status == "completed"
    assert 19_000 < len(result.files) <= 20_000
    assert "more files than one look takes in" in result.outcome.message
    assert "more files than one look takes in" in result.stderr
    result = await session.run("import os\nos.unlink('00003')")
    assert result.deleted == []  # what is not seen is perhaps only not looked at


async def test_what_was_there_is_told_from_what_is_new(session: Session) -> None:
    await session.put("input.csv", b"a,b\n")
    result = await session.run("import os\nfor name in 'abc': open(name, 'w').write(name)\nos.mkdir('d')")
    assert [(file.path, file.change) for file in result.files] == [(name, "created") for name in "abc"]
    assert result.deleted == []
    result = await session.run(
        """
        open("input.csv", "a").write("1,2\\n")
        os.remove("a"); os.rename("b", "d/b"); open("e", "w").write("e"); os.replace("e", "c")
        open(os.environ["OUTPUT_DIR"] + "/c", "w").write("another")
        open(os.environ["OUTPUT_DIR"] + "/gone", "w").close(); os.remove(os.environ["OUTPUT_DIR"] + "/gone")
        """
    )
    assert [(file.path, file.change) for file in result.files] == [
        ("c", "modified"),
        ("d/b", "created"),
        ("input.csv", "modified"),
        ("c", "created"),
    ]
    assert result.deleted == ["a", "b"]
    result = await session.run("import shutil; shutil.rmtree('d'); os.mkdir('c2'); os.unlink('c')")
    assert result.deleted == ["c", "d/b"]
    assert (await session.run("pass")).deleted == []


async def test_what_others_do_between_two_runs_is_not_the_runs(session: Session) -> None:
    """The caller, a command, a run that was killed."""

    async def told() -> tuple[list[str], list[str]]:
        result = await session.run("pass")
        return [file.path for file in result.files], result.deleted

    await session.run("for name in 'abc': open(name, 'w').write(name)")
    assert await told() == ([], [])
    await session.put("put", b"x")
    await session.put("a", b"new")
    assert await told() == ([], [])
    await session.keeper.remove(session.name, "b")
    assert await told() == ([], [])
    await session.keeper.execute(
        session.name, orders.Run(None, 30, calls=[orders.Command("rm c; echo > made")])
    )
    assert await told() == ([], [])
    await session.run("import os; open('late', 'w').write('x'); os._exit(3)")
    assert await told() == ([], [])
    result = await session.run("import os; open('a', 'a').write('more'); os.remove('put')")
    assert [(file.path, file.change) for file in result.files] == [("a", "modified")]
    assert result.deleted == ["put"]


async def test_what_is_deleted_is_told_within_bounds(session: Session) -> None:
    await session.run("for n in range(3000): open(f'{n:04}', 'w').close()")
    result = await session.run("import os\nfor n in range(3000): os.unlink(f'{n:04}')")
    assert result.deleted == [f"{number:04}" for number in range(1000)]
    assert result.deleted_left_out == 2000
    assert "2000 names of deleted files" in result.outcome.message


async def test_a_tree_without_an_end_is_bounded(session: Session) -> None:
    result = await session.run(
        """
        import os
        for _ in range(200):
            os.mkdir("d"); os.chdir("d"); open("f", "w").close()
        os.chdir("/files/work")
        """
    )
    assert result.outcome.status == "completed"
    assert 0 < len(result.files) < 30
    result = await session.run(
        "import os\nfor i in range(30_000):\n  os.mkdir(f'/files/work/x{i}')", timeout=60
    )
    assert result.outcome.status == "completed"


async def test_names_of_all_kinds_come_back_as_text(session: Session) -> None:
    result = await session.run(
        """
        names = [b"new\\nline", b"\\xff\\xfe", b"\\\\xff\\\\xfe", b"\\x1b[31m", b"\\xff" * 255]
        for name in (*names, "ü".encode(), b"-rf", b"<script>", b" "):
            open(b"/files/work/" + name, "wb").write(name)
        """
    )
    assert {file.path for file in result.files} == {
        "new\\x0aline",
        "\\xff\\xfe",
        "\\x5cxff\\x5cxfe",
        "\\x1b[31m",
        "\\xff" * 255,
        "ü",
        "-rf",
        "<script>",
        " ",
    }
    for file in result.files:
        assert len(await session.content(file)) == file.size_bytes
        assert (await session.keeper.find(session.name, file.path)).size_bytes == file.size_bytes
        await session.put(file.path, b"put")
        await session.keeper.remove(session.name, file.path)
    assert await session.says("import os; print(os.listdir('/files/work'))") == "[]"


async def test_a_sparse_file_has_the_size_that_it_says(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=16 * MIB) as session:
        result = await session.run(f"open('sparse', 'wb').truncate({16 * MIB})")
        (file,) = result.files
        assert file.size_bytes == 16 * MIB
        assert await session.content(file) == bytes(16 * MIB)


async def test_a_file_that_was_replaced_since_its_run(session: Session) -> None:
    first = await session.run("open('a', 'w').write('first')")
    second = await session.run("import os; open('b', 'w').write('second, longer'); os.rename('b', 'a')")
    assert await session.content(second.files[0]) == b"second, longer"
    with pytest.raises(InvalidRequest):
        await session.content(results.WorkFile("b", 14, b"work/b".hex()))
    # A handle is good until the next run: afterwards it is the new file that has the name, or nothing.
    assert await session.content(first.files[0]) in (b"secon", b"second, longer")
    await session.run("import os; os.unlink('a')")
    with pytest.raises(InvalidRequest):
        await session.content(second.files[0])


async def test_a_file_that_a_child_swaps_all_the_time(session: Session) -> None:
    result = await session.run(
        """
        import os, time
        open("a", "w").write("mine")
        if os.fork() == 0:
            while True:
                os.symlink("/etc/hostname", "link"); os.rename("link", "a")
                open("file", "w").write("mine"); os.rename("file", "a")
        """
    )
    assert len(result.files) <= 2
    for _ in range(50):
        for file in result.files:
            try:
                assert await session.content(file) in (b"mine", b"")
            except InvalidRequest:
                continue  # it has become a link, or another file
    assert result.outcome.status == "completed"


async def test_hard_links_are_files_of_the_session(session: Session) -> None:
    result = await session.run(
        """
        import os
        open("a", "w").write("same")
        os.link("a", "b")
        for source in ("/etc/passwd", "/usr/bin/env", "/proc/self/environ"):
            try: os.link(source, "stolen")
            except OSError: pass
        """
    )
    assert [file.path for file in result.files] == ["a", "b"]
    assert [await session.content(file) for file in result.files] == [b"same", b"same"]


async def test_files_outlive_the_interpreter(session: Session) -> None:
    result = await session.run("open('a', 'w').write('a'); import os; os._exit(1)")
    assert await session.content(result.files[0]) == b"a"
    assert await session.says("print(open('a').read())") == "a"


async def test_a_tree_that_is_closed_to_its_own_user(keeper: link.Keeper) -> None:
    """It may end its session, and leaves nothing that nobody could close."""
    async with opened(keeper) as session:
        await session.run("import os; os.chmod('/files', 0); os._exit(0)")
        result = await session.run("print('again')")
        assert result.outcome.status in ("completed", "lost")
    async with opened(keeper) as other:
        assert await other.says("print('fine')") == "fine"


async def test_files_and_code_in_the_message_that_makes_the_session(keeper: link.Keeper) -> None:
    opening = orders.Opening(Limits(), [])
    program = orders.Run("print(open('a').read(), open('b').read())", 10, is_last=True)
    result = await keeper.execute(
        "fused", program, opening=opening, files={"a": b"1", "b": b"2"}, closes=True
    )
    assert (result.stdout, result.is_closed) == ("1 2\n", True)
    with pytest.raises(NotFound):
        await keeper.execute("fused", program)
    kept = await keeper.execute(
        "fused", orders.Run("open('c', 'w').write('x')", 10), opening=opening, closes=True
    )
    assert not kept.is_closed  # there is a file to be read
    assert b"".join([piece async for piece in keeper.read("fused", kept.files[0])]) == b"x"
    await keeper.close("fused")


async def test_many_files_and_imports_in_the_message_that_makes_the_session(keeper: link.Keeper) -> None:
    names = [f"{'a' * 200}{n}" for n in range(400)]
    program = orders.Run("import os; print(len(os.listdir()))", 10, is_last=True)
    opening, files = orders.Opening(Limits(), names), dict.fromkeys(names, b"")
    result = await keeper.execute("many", program, opening=opening, files=files, closes=True)
    assert result.stdout == "400\n"
    await keeper.open("many", Limits(), names)
    await keeper.close("many")


@pytest.mark.parametrize("name", ["", "a//b", "\ud800"])
async def test_a_name_that_is_none_in_the_message_that_makes_the_session(
    keeper: link.Keeper, name: str
) -> None:
    opening, program = orders.Opening(Limits(), []), orders.Run("print(1)", 10)
    with pytest.raises(InvalidRequest):
        await keeper.execute("refused", program, opening=opening, files={name: b""})
    await keeper.close("refused")


async def test_a_name_that_is_too_long_to_be_told_again(session: Session) -> None:
    with pytest.raises(InvalidRequest):
        await session.put("\x7f" * 20_000, b"x")  # each is four characters in the answer
    assert await session.says("print(1)") == "1"


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("pass", []),
        ("os.rmdir(os.environ['OUTPUT_DIR']); open('a', 'w')", ["a"]),
        ("os.rename(os.environ['OUTPUT_DIR'], 'moved'); open('moved/a', 'w')", ["moved/a"]),
        ("os.chdir('/'); os.rmdir('/files/work'); open('/files/work', 'w')", []),
        ("os.chdir('/'); os.rename('/files/work', '/files/x'); os.symlink('/files/x', '/files/work')", []),
        ("open('/tmp/elsewhere', 'w')", []),
        ("os.mkdir('d'); os.rmdir('d')", []),
        ("os.open('.', os.O_TMPFILE | os.O_RDWR)", []),
    ],
)
async def test_the_files_of_a_first_run(keeper: link.Keeper, code: str, made: list[str]) -> None:
    """Whether there are any is seen by the count of the file system, as far as that can tell."""
    async with opened(keeper) as session:
        result = await session.run(f"import os\n{code}")
        assert result.outcome.status == "completed", result.stderr
        assert [file.path for file in result.files] == made
        result = await session.run(
            "os.makedirs('/files/work', exist_ok=True); open('/files/work/later', 'w').close()"
        )
        if "symlink" not in code and "rmdir('/files/work')" not in code:
            assert [file.path for file in result.files] == ["later"], result.stderr


async def test_a_caller_that_goes_away_while_its_files_are_put(session: Session) -> None:
    """Into a session that was there before, and goes on."""
    files = {f"f{n}": bytes(1000) for n in range(200)}
    program = orders.Run("import time; time.sleep(20)", 60)
    with anyio.fail_after(10), anyio.move_on_after(0.01):
        await session.keeper.execute(session.name, program, files=files)
    assert await session.says("print('fine')") == "fine"


@pytest.mark.parametrize("seconds", [0.001, 0.01, 0.03, 0.1])
async def test_a_caller_that_goes_away_while_its_session_is_made(keeper: link.Keeper, seconds: float) -> None:
    """Whenever that is, nothing runs on, and the name is free again."""
    files = {f"f{n}": bytes(1000) for n in range(100)}
    program, opening = orders.Run("import time; time.sleep(60)", 60), orders.Opening(Limits(), [])
    with anyio.move_on_after(seconds):
        await keeper.execute("gone", program, opening=opening, files=files)
    await keeper.close("gone")
    with anyio.fail_after(20):
        await keeper.open("gone", Limits())
        await keeper.close("gone")
