"""Many files as one archive: all of them, under names that are good everywhere."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator

import pytest

from belljar.errors import InvalidRequest
from belljar.gateway.bundle import MOST_FILES, Bundle, split
from belljar.results import WorkFile

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def made(*paths: str, size_bytes: int = 1) -> list[WorkFile]:
    return [WorkFile(path, size_bytes, str(number)) for number, path in enumerate(paths)]


async def packed(bundle: Bundle, gone: str = "", piece: bytes = b"") -> zipfile.ZipFile:
    async def read(file: WorkFile) -> AsyncIterator[bytes]:
        if file.path == gone:
            raise InvalidRequest("the file has been removed since the run")
        for _ in range(3 if file.size_bytes else 0):
            yield piece or file.path.encode("utf-8", "replace")

    body = b"".join([part async for part in bundle.pieces(read)])
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert archive.testzip() is None
    assert archive.namelist() == bundle.packed
    return archive


def test_few_files_come_one_by_one() -> None:
    assert split([]) == ([], None)
    files = made(*(f"{number}" for number in range(MOST_FILES)))
    assert split(files) == (files, None)


def test_of_many_those_that_lie_highest_come_one_by_one() -> None:
    files = made(*(f"d/e/{n}" for n in range(200)), "summary.csv", *(f"d/{n}" for n in range(3)), "chart.png")
    separate, bundle = split(files)
    assert [file.path for file in separate[:5]] == ["summary.csv", "chart.png", "d/0", "d/1", "d/2"]
    assert bundle is not None
    assert len(separate) == MOST_FILES - 1
    assert sorted([*separate, *bundle.files], key=lambda file: int(file.handle)) == files
    assert bundle.name == "files.zip"


def test_the_archive_has_a_name_of_its_own() -> None:
    _, bundle = split(made("Files.zip", "files (2).ZIP", *(f"{n}" for n in range(200))))
    assert bundle is not None
    assert bundle.name == "files (3).zip"


async def test_what_is_in_it() -> None:
    archive = await packed(Bundle("files.zip", [*made("a.txt", "d/ü.txt"), WorkFile("empty", 0, "e")]))
    assert archive.namelist() == ["a.txt", "d/ü.txt", "empty"]
    assert archive.read("d/ü.txt").decode() == "d/ü.txt" * 3
    assert archive.read("empty") == b""


async def test_pieces_of_a_large_file() -> None:
    piece = bytes(range(256)) * 4096
    archive = await packed(Bundle("files.zip", made("large", size_bytes=len(piece) * 3)), piece=piece)
    assert archive.read("large") == piece * 3


async def test_a_file_that_is_gone_is_not_in_it() -> None:
    bundle = Bundle("files.zip", made("a", "b", "c"))
    assert (await packed(bundle, gone="b")).namelist() == ["a", "c"]


async def test_no_name_is_lost_and_none_is_odd() -> None:
    paths = [
        "a.txt",
        "A.TXT",
        "a.txt",
        "e\u0301",
        "\xe9",
        "new\nline",
        "new\rline",
        "c:\\x",
        ".hidden",
        ".HIDDEN",
        "\\xff",
        "-rf",
    ]
    archive = await packed(Bundle("files.zip", made(*paths)))
    assert archive.namelist() == [
        "a.txt",
        "A (2).TXT",
        "a (3).txt",
        "e\u0301",
        "\xe9 (2)",
        "new_line",
        "new_line (2)",
        "c__x",
        ".hidden",
        ".HIDDEN (2)",
        "_xff",
        "-rf",
    ]


async def test_thousands_of_names_that_become_one() -> None:
    paths = [f"{a}{b}{c}{d}" for a in '*?"<>|:' for b in '*?"<>|:' for c in '*?"<>|:' for d in '*?"<>|:']
    archive = await packed(Bundle("files.zip", made(*paths)))
    assert len(set(archive.namelist())) == 7**4
