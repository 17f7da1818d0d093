"""Files of common formats, in and out: made by one run, handed to a client, sent back in, and read by another."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest
from serving import Model, ask, code, text
from test_executions import run
from test_made_files import told
from test_messages import post
from test_tools import offering

MAKE = """
import json, sqlite3
import pandas as pd
from PIL import Image
from reportlab.pdfgen import canvas
table = pd.DataFrame({"Ort": ["Köln", "東京"], "Preis": [1.5, 2.5]})
table.to_excel("table.xlsx", index=False)
table.to_csv("table.csv", index=False)
table.to_parquet("table.parquet")
json.dump(table.to_dict("records"), open("table.json", "w"), ensure_ascii=False)
Image.new("RGB", (30, 20), "red").save("dot.png")
Image.new("RGB", (30, 20), "red").save("dot.jpg")
page = canvas.Canvas("page.pdf"); page.drawString(72, 720, "Total 42"); page.save()
base = sqlite3.connect("base.sqlite")
table.to_sql("prices", base, index=False); base.commit(); base.close()
"""
READ = """
import json, sqlite3
import pandas as pd, pypdf
from PIL import Image
tables = [
    pd.read_excel("table.xlsx"), pd.read_csv("table.csv"), pd.read_parquet("table.parquet"),
    pd.DataFrame(json.load(open("table.json"))), pd.read_sql("select * from prices", sqlite3.connect("base.sqlite")),
]
print([table.to_dict("list") == {"Ort": ["Köln", "東京"], "Preis": [1.5, 2.5]} for table in tables])
print(Image.open("dot.png").getpixel((3, 3)), Image.open("dot.jpg").size)
print(pypdf.PdfReader("page.pdf").pages[0].extract_text().strip())
"""
SEEN = "[True, True, True, True, True]\n(255, 0, 0) (30, 20)\nTotal 42\n"
TYPES = {
    "table.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "table.csv": "text/csv",
    "table.json": "application/json",
    "dot.png": "image/png",
    "dot.jpg": "image/jpeg",
    "page.pdf": "application/pdf",
}


@pytest.fixture(scope="module")
def made(http: httpx2.Client) -> dict[str, bytes]:
    done = run(http, MAKE)
    assert done["outcome"]["status"] == "completed", done["stderr"]
    files = {file["filename"]: file for file in done["files"]}
    assert {name: files[name]["mime_type"] for name in TYPES} == TYPES
    return {name: http.get(f"/v1/files/{file['file_id']}/content").content for name, file in files.items()}


def test_formats_by_files_of_an_execution(http: httpx2.Client, made: dict[str, bytes]) -> None:
    files = [{"name": name, "data": base64.b64encode(body).decode()} for name, body in made.items()]
    done = run(http, READ, files=files)
    assert (done["stdout"], done["stderr"]) == (SEEN, "")
    assert done["files"] == []


def test_formats_by_uploads_of_a_message(http: httpx2.Client, model: Model, made: dict[str, bytes]) -> None:
    content: list[dict[str, Any]] = []
    for name, body in made.items():
        sent = http.post("/v1/files", files={"file": (name, body)})
        assert sent.status_code == 200, sent.text
        content.append({"type": "container_upload", "file_id": sent.json()["id"]})
    model.play([code(READ)], [text("Read.")])
    message = [{"role": "user", "content": [*content, text("Read them.")]}]
    post(http, ask(message, tools=offering("20260120")))
    assert told(model) == SEEN.rstrip("\n")


ROWS = "名前,値\nカタカナとひらがな,1\n東京タワー,2\n"
WEST = "Straße;Größe\nMünchen;groß\nCafé;5 €\n"
CHINA = "城市,说明\n北京,中国的首都\n上海,我们国家最大的城市\n"


@pytest.mark.parametrize(
    ("encoding", "content"),
    [("utf-16", ROWS), ("shift_jis", ROWS), ("gb18030", CHINA), ("cp1252", WEST)],
)
def test_the_hint_on_an_encoding_is_one_that_reads_the_file(
    http: httpx2.Client, encoding: str, content: str
) -> None:
    files = [{"name": "t.csv", "data": base64.b64encode(content.encode(encoding)).decode()}]
    for read in ("open('t.csv').read()", "import pandas\npandas.read_csv('t.csv')"):
        done = run(http, read, files=files)
        assert done["outcome"]["reason"] == "UnicodeDecodeError"
        hint = done["outputs"][-1]["hint"]
        found = hint.partition("encoding='")[2].partition("'")[0]
        assert content.encode(encoding).decode(found) == content
        assert (
            run(http, f"print(open('t.csv', encoding={found!r}).read(), end='')", files=files)["stdout"]
            == content
        )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_in_utf_8_with_and_without_a_mark(http: httpx2.Client, encoding: str) -> None:
    files = [{"name": "t.csv", "data": base64.b64encode(ROWS.encode(encoding)).decode()}]
    done = run(http, "import pandas\nprint(list(pandas.read_csv('t.csv').columns))", files=files)
    assert done["stdout"] == "['名前', '値']\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("table.xlsx", "read_excel"),
        ("table.parquet", "read_parquet"),
        ("dot.png", "a PNG image"),
        ("page.pdf", "pypdf"),
    ],
)
def test_a_file_that_is_no_text_is_told_as_what_it_is(
    http: httpx2.Client, made: dict[str, bytes], name: str, says: str
) -> None:
    files = [{"name": "data.csv", "data": base64.b64encode(made[name]).decode()}]
    done = run(http, "import pandas\npandas.read_csv('data.csv')", files=files)
    assert done["outcome"]["status"] == "raised"
    assert says in done["outputs"][-1]["hint"]


@pytest.mark.parametrize("read", ["read_csv('t.csv')", "read_excel('t.csv')"])
def test_a_table_that_is_none_is_told_by_how_it_begins(http: httpx2.Client, read: str) -> None:
    body = base64.b64encode(b"Report of May\n\na;b\n1,5;2\n1,2,3;4\n").decode()
    done = run(http, f"import pandas\npandas.{read}", files=[{"name": "t.csv", "data": body}])
    assert done["outcome"]["status"] == "raised"
    assert "is text, and begins: 'Report of May', '', 'a;b'" in done["outputs"][-1]["hint"]


def test_uploads_of_one_name_are_two_files(http: httpx2.Client, model: Model) -> None:
    names = ["a.txt", "a.txt", "A.txt", "\xe9.txt", "e\u0301.txt"]
    content: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        sent = http.post("/v1/files", files={"file": (name, f"number {number}\n".encode())}).json()
        content.append({"type": "container_upload", "file_id": sent["id"]})
    model.play(
        [code("import os\nfor name in sorted(os.listdir()): print(open(name).read(), end='')")],
        [text("Read.")],
    )
    post(http, ask([{"role": "user", "content": [*content, text("Read.")]}], tools=offering("20260120")))
    assert sorted(told(model).splitlines()) == [f"number {number}" for number in range(5)]
