"""Gives links names that a reader may mishandle: bytes that are no text, line ends, dashes, text that runs backwards.

Stopped by: collector, private root
"""

import contextlib
import json
import os

work = os.fsencode(os.environ["INPUT_DIR"])
secret = os.fsencode(json.loads(os.environ["BAIT"])["secret_file"])
for name in (
    b"a\nb.csv",
    b"\r\nContent-Type: text\r\n\r\n",
    b"\xff\xfe\x80",
    b"\xed\xa0\x80",
    "\u202egnp.exe".encode(),
    b"\x1b]0;owned\x07\x1b[2J",
    b"-rf",
    b"--help",
    b"...",
    b".. ",
    b" ",
    b"~",
    b"*",
    b"$(id)",
    b"..\\..\\x",
    b"%2e%2e%2fx",
    b"CON",
    b"x" * 255,
):
    with contextlib.suppress(FileExistsError):
        os.symlink(secret, work + b"/" + name)
print("tried")
