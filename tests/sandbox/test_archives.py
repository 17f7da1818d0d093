"""A session's files are put away as an archive, and come back into a fresh session before any code runs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from jail import Session, opened, started

from belljar import link
from belljar.errors import InvalidRequest, NotFound, NotKept
from belljar.records import MIB

pytestmark = pytest.mark.anyio

SECRET = b"nobody inside may ever read this line"

LOOK = """
import hashlib, json, os, stat
def look(top):
    found = []
    for directory, directories, files in os.walk(top):
        for name in [b".", *directories, *files]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path).hex()
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(open(path, "rb").read()).hexdigest()
            found.append([os.path.relpath(path, top).hex(), status.st_mode & 0o777, status.st_mtime_ns,
                          status.st_uid == os.getuid(), content])
    return sorted(found)
print(json.dumps([look(os.getcwdb()), look(os.environb[b"HOME"])]))
"""


SWAPPED = """
import os, subprocess, sys
code = '''
import os
while True:
    for n in range(50):
        try:
            os.rename(f"d{n}", f"a{n}"); os.symlink("/", f"d{n}"); os.symlink("DIRECTORY", f"d{n}x")
            os.unlink(f"d{n}"); os.unlink(f"d{n}x"); os.rename(f"a{n}", f"d{n}")
        except OSError:
            pass
'''
for n in range(50):
    os.makedirs(f"d{n}/etc")
    for name in ("secret.txt", "etc/passwd"):
        open(f"d{n}/{name}", "w").write("its own")
process = subprocess.Popen([sys.executable, "-c", code])
"""


async def archive_of(session: Session) -> bytes:
    with anyio.fail_after(60):
        return b"".join([piece async for piece in session.keeper.pack(session.name)])


async def bring_back(session: Session, archive: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(archive), 2**20):
            yield archive[start : start + 2**20]

    with anyio.fail_after(60):
        await session.keeper.unpack(session.name, pieces())


async def test_everything_comes_back(keeper: link.Keeper) -> None:
    async with opened(keeper) as old:
        await old.says(
            r"""
            import os
            os.makedirs("sub/empty"); os.makedirs("sub/größe 猫")
            open("text.txt", "w").write("text\n")
            open("binary", "wb").write(os.urandom(3_000_000))
            for name in (b"\xff\xfe", b"new\nline", b"-rf", b"n" * 255):
                open(name, "wb").write(name)
            os.symlink("/etc/passwd", "link"); os.symlink(b"\xff/..", b"dangling"); os.symlink("sub", "folder")
            open("run.sh", "w").close(); os.chmod("run.sh", 0o755)
            os.chmod("sub/empty", 0o500)
            os.mkdir("shut"); open("shut/in", "w").write("in"); os.utime("shut/in", (1, 2)); os.chmod("shut", 0)
            open(os.environ["HOME"] + "/cached", "w").write("cached")
            with open("sparse", "wb") as file:
                file.truncate(400_000_000)
            os.mkfifo("fifo")
            """
        )
        archive = await archive_of(old)
        assert len(archive) < 5 * MIB
        shut = await old.says("import os; print(oct(os.stat('shut').st_mode))")
        await old.says("os.unlink('fifo'); os.chmod('shut', 0o700)")
        was = await old.value(LOOK)
    async with opened(keeper) as new:
        await bring_back(new, archive)
        result = await new.run("import os; print(oct(os.stat('shut').st_mode))")
        assert (result.stdout, result.files) == (f"{shut}\n", [])  # nothing of it is this run's own
        await new.says("os.chmod('shut', 0o700)")
        now = await new.value(LOOK)
        # The directory's own times are those of the last change in it.
        for seen in (was, now):
            seen[0] = [entry for entry in seen[0] if entry[0] != b".".hex()]
        assert now == was
        changed = await new.run("open('text.txt', 'a').write('more')")
        assert [file.path for file in changed.files] == ["text.txt"]


async def test_many_files_and_the_others_go_on(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=256 * MIB) as old, opened(keeper) as other:
        code = """
            import os
            for folder in range(20):
                os.mkdir(str(folder))
                for number in range(1000):
                    with open(f"{folder}/{number}", "w") as file:
                        file.write(f"{folder}-{number}")
            """
        await old.says(code)
        archives: list[bytes] = []
        during = 0

        async def pack() -> None:
            archives.append(await archive_of(old))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pack)
            while not archives:
                assert await other.says("print(1)") == "1"
                during += 1
        assert during > 1
        async with opened(keeper, disk_bytes=256 * MIB) as new:
            await bring_back(new, archives[0])
            counted = "sum(open(f'{d}/{n}').read() == f'{d}-{n}' for d in range(20) for n in range(1000))"
            assert await new.says(f"print({counted})") == "20000"


async def test_a_process_that_swaps_directories_for_links(keeper: link.Keeper, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(SECRET)
    secret.chmod(0o644)
    async with opened(keeper) as session:
        await session.says(SWAPPED.replace("DIRECTORY", str(tmp_path)))
        machine = Path("/etc/passwd").read_bytes()
        for _ in range(5):
            archive = await archive_of(session)
            assert SECRET not in archive
            assert machine not in archive
            assert b"its own" in archive
            # It goes on with the next run, and is stopped between two.
            assert await session.says("import time; time.sleep(0.05); print(process.poll())") == "None"


async def test_what_does_not_fit_stays_where_it_is(keeper: link.Keeper) -> None:
    async with opened(keeper, disk_bytes=8 * MIB) as session:
        await session.says(
            "import os; x = 5; open('a', 'wb').write(bytes(3_000_000)); "
            "[os.link('a', str(n)) for n in range(4)]"
        )
        with pytest.raises(NotKept, match="more than its disk"):
            await archive_of(session)
        assert await session.says("print(x)") == "5"
        await session.says("[os.unlink(str(n)) for n in range(3)]")
        assert len(await archive_of(session)) > 6_000_000


async def test_a_run_gives_up_the_archive(keeper: link.Keeper) -> None:
    async with opened(keeper) as session:
        await session.says("open('a', 'wb').write(bytes(5_000_000))")
        pieces = keeper.pack(session.name)
        assert await anext(pieces)
        assert await session.says("print('runs')") == "runs"
        with pytest.raises(InvalidRequest):
            await anext(pieces)
        assert len(await archive_of(session)) > 5_000_000


async def test_code_that_runs_is_not_packed(keeper: link.Keeper) -> None:
    async with opened(keeper) as session:
        begun = anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await session.run(
                    "print('begun', flush=True)\nimport time; time.sleep(60)",
                    on_event=lambda event: begun.set(),
                )

            tasks.start_soon(run)
            with anyio.fail_after(30):
                await begun.wait()
            with pytest.raises(InvalidRequest, match="running code"):
                await archive_of(session)
            await keeper.interrupt(session.name)


async def test_only_a_fresh_session_gets_files(keeper: link.Keeper) -> None:
    async with opened(keeper) as session:
        await session.says("open('a', 'w').write('x')")
        archive = await archive_of(session)
        with pytest.raises(InvalidRequest, match="has run code"):
            await bring_back(session, archive)
    async with opened(keeper) as session:
        with pytest.raises(NotKept, match="too early"):
            await bring_back(session, archive[:-1])
    async with opened(keeper, disk_bytes=8 * MIB) as large:
        await large.says("open('a', 'wb').write(bytes(6_000_000))")
        archive = await archive_of(large)
    async with opened(keeper, disk_bytes=MIB) as small:
        with pytest.raises(NotKept, match="disk does not hold"):
            await bring_back(small, archive)
    with pytest.raises(NotFound):
        await archive_of(Session(keeper, "nobody"))
    assert not keeper.is_lost


async def test_a_session_whose_interpreter_is_gone(keeper: link.Keeper) -> None:
    async with opened(keeper) as session:
        await session.run("import os; open('a', 'w').write('x'); os.kill(os.getpid(), 9)")
        archive = await archive_of(session)
    async with opened(keeper) as session:
        await bring_back(session, archive)
        assert await session.says("print(open('a').read())") == "x"


async def test_a_parked_session_takes_them_in(anyio_backend: str) -> None:
    async with started(preload={"bare": ["json"]}, parked=1) as here:
        async with opened(here.keeper) as session:
            await session.says("import os; open(os.environ['HOME'] + '/a', 'w').write('x')")
            archive = await archive_of(session)
        for _ in range(3):
            async with opened(here.keeper) as session:
                await bring_back(session, archive)
                assert await session.says("import os; print(open(os.environ['HOME'] + '/a').read())") == "x"
