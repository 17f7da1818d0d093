"""Writes in many scripts to the output, to files and into file names, and gives bad bytes back unharmed."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

words = [
    "Grüße",
    "Привет",
    "Γειά",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "你好",
    "こんにちは",
    "안녕",
    "👩‍👩‍👧 🏳️‍🌈",
    "e\u0301",
    "ﬀ𝒜",
]
for word in words:
    print(word)
    path = Path(f"{word}.txt")
    path.write_text(word, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == word
assert {f"{word}.txt" for word in words} <= set(os.listdir())
said = subprocess.run(["ls"], capture_output=True, text=True).stdout
assert "你好.txt" in said
echo = subprocess.run(
    [sys.executable, "-c", "print(input()[::-1])"], input="añb", capture_output=True, text=True
)
assert echo.stdout == "bña\n"

Path("deep/привет/你好").mkdir(parents=True)
Path("deep/привет/你好/файл").write_bytes(b"x")
assert [str(path) for path in Path("deep").rglob("файл")] == ["deep/привет/你好/файл"]
name = b"bad \xff\xfe name"
with open(name, "wb") as file:
    file.write(b"bytes")
(found,) = [entry for entry in os.listdir() if entry.startswith("bad ")]
assert os.fsencode(found) == name
assert Path(found).read_bytes() == b"bytes"
assert name in os.listdir(b".")
os.unlink(found)
long = "ä" * 127 + "x"
Path(long).touch()
try:
    Path(long + "y").touch()
except OSError as error:
    assert error.strerror == "File name too long"
for name in ("with space", "new\nline", "quote'\"", "-dash", "*?[", "tab\t", "#", "~"):
    Path(name).write_text(name)
    assert Path(name).read_text() == name
    Path(name).unlink()
assert unicodedata.normalize("NFC", "e\u0301") == "é"
sys.stdout.buffer.write("raw: ✓\n".encode())
sys.stdout.flush()
for encoding in ("latin-1", "cp1252", "shift_jis", "gb18030", "utf-16", "big5", "koi8-r"):
    assert "abc".encode(encoding).decode(encoding) == "abc"
print("done")
