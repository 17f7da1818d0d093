"""Compression, archives, serialization, hashing, logging and the other modules that only compute."""

import bz2
import configparser
import csv
import dbm
import gzip
import hashlib
import hmac
import json
import logging.handlers
import lzma
import pickle
import queue
import shelve
import tarfile
import tomllib
import unicodedata
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

data = b"abc" * 100_000
for module in (bz2, gzip, lzma, zlib):
    assert module.decompress(module.compress(data)) == data
with zipfile.ZipFile("data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("data.bin", data)
assert zipfile.ZipFile("data.zip").read("data.bin") == data
with tarfile.open("data.tar.xz", "w:xz") as archive:
    archive.add("data.zip")
with tarfile.open("data.tar.xz") as archive:
    archive.extractall("extracted")
assert Path("extracted/data.zip").stat().st_size == Path("data.zip").stat().st_size
with open("data.csv", "w", newline="") as file:
    csv.writer(file).writerows([["a", "b"], [1, "two, three"]])
with open("data.csv", newline="") as file:
    assert list(csv.DictReader(file)) == [{"a": "1", "b": "two, three"}]
assert pickle.loads(pickle.dumps({"a": {1, 2}})) == {"a": {1, 2}}
assert json.loads(json.dumps({"größe": [1, None]})) == {"größe": [1, None]}
with shelve.open("shelf") as shelf:
    shelf["key"] = [1, 2]
with dbm.open("small", "c") as small:
    small["k"] = "v"
assert (
    hashlib.file_digest(open("data.csv", "rb"), "sha256").hexdigest()
    == hashlib.sha256(Path("data.csv").read_bytes()).hexdigest()
)
assert len(hashlib.scrypt(b"p", salt=b"s", n=1024, r=8, p=1)) == 64
assert hmac.new(b"k", b"m", "sha512").digest_size == 64
handler = logging.handlers.RotatingFileHandler("log.txt", maxBytes=100, backupCount=2)
logger = logging.getLogger("rotating")
logger.addHandler(handler)
for number in range(50):
    logger.error("line %d", number)
handler.close()
records: queue.Queue[logging.LogRecord] = queue.Queue()
listener = logging.handlers.QueueListener(records, logging.NullHandler())
listener.start()
listener.stop()
assert Path("log.txt.1").exists()
config = configparser.ConfigParser()
config.read_string("[a]\nb = 1")
assert tomllib.loads("a = 1") == {"a": config.getint("a", "b")}
assert ElementTree.fromstring("<a><b/></a>")[0].tag == "b"
assert unicodedata.normalize("NFC", "é") == "é"
assert Decimal("0.1") * 3 == Decimal("0.3") and Fraction(1, 3) * 3 == 1
print("ok")
