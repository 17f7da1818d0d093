"""Reads and writes zip, tar, gzip, bzip2, xz and zlib, in files and in memory."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path

text = "".join(f"{number} straße\n" for number in range(20_000))
for module, name in ((gzip, "t.gz"), (bz2, "t.bz2"), (lzma, "t.xz")):
    with module.open(name, "wt", encoding="utf-8") as file:
        file.write(text)
    with module.open(name, "rt", encoding="utf-8") as file:
        assert file.read() == text
    assert Path(name).stat().st_size < len(text) / 4
    assert module.decompress(module.compress(text.encode())) == text.encode()
compressor = zlib.compressobj(9)
packed = compressor.compress(text.encode()) + compressor.flush()
assert zlib.decompress(packed) == text.encode()
assert zlib.crc32(b"123456789") == 0xCBF43926

for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
    with zipfile.ZipFile("t.zip", "w", method) as archive:
        archive.writestr("файл.txt", text)
        archive.write("t.gz", "deep/t.gz")
    with zipfile.ZipFile("t.zip") as archive:
        assert archive.testzip() is None
        assert archive.read("файл.txt").decode() == text
        archive.extractall("unzipped")
    assert Path("unzipped/deep/t.gz").read_bytes() == Path("t.gz").read_bytes()

Path("link").symlink_to("t.gz")
for mode in ("", ":gz", ":bz2", ":xz"):
    with tarfile.open("t.tar", f"w{mode.replace(':', '|')}" if mode else "w") as archive:
        archive.add("t.gz")
        archive.add("link")
        info = tarfile.TarInfo("from memory")
        info.size = 6
        archive.addfile(info, io.BytesIO(b"memory"))
    with tarfile.open("t.tar") as archive:
        assert archive.getnames() == ["t.gz", "link", "from memory"]
        assert archive.extractfile("from memory").read() == b"memory"
        # Debian's 3.11 is older than the filters, and not all of ours are younger.
        archive.extractall("untarred", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    assert Path("untarred/link").is_symlink()
print("done")
