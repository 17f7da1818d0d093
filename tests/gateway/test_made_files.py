"""What runs make, change and delete, and what the model is told of that and of exceptions."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import httpx2
from serving import Model, ask, bash, code, text
from test_executions import run
from test_messages import post
from test_tools import offering, results


def told(model: Model, turn: int = 1) -> str:
    """What the model was told of what it had run in the turn before."""
    result = model.requests[turn]["messages"][-1]["content"][0]
    return "\n".join(part["text"] for part in result["content"] if part["type"] == "text")


def archive(http: httpx2.Client, file_id: str) -> dict[str, bytes]:
    body = http.get(f"/v1/files/{file_id}/content").content
    with zipfile.ZipFile(io.BytesIO(body)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


MANY = (
    "import os\n"
    "os.mkdir('tiles')\n"
    "for n in range(2500): open(f'tiles/{n:04}.txt', 'w').write(str(n))\n"
    "open('summary.csv', 'w').write('n\\n2500\\n')\n"
    "open('files.zip', 'w').write('my own')\n"
)


def test_thousands_of_files_come_back_as_one_archive(http: httpx2.Client) -> None:
    done = run(http, MANY)
    assert len(done["files"]) == 100
    assert {file["path"] for file in done["files"]} >= {"summary.csv", "files.zip", "tiles/0000.txt"}
    last = done["files"][-1]
    assert (last["filename"], last["mime_type"], last["holds"]) == ("files (2).zip", "application/zip", 2403)
    held = archive(http, last["file_id"])
    assert len(held) == 2403
    assert held["tiles/2499.txt"] == b"2499"
    alone = {file["path"] for file in done["files"]}
    assert len(alone | held.keys()) == 2503
    assert "2,403 more files are in files (2).zip: tiles/0097.txt, " in done["outcome"]["message"]
    assert done["stderr"] == ""
    assert all(file["holds"] == 0 for file in done["files"][:-1])


def test_an_archive_in_a_message(http: httpx2.Client, model: Model) -> None:
    model.play(
        [code(MANY)],
        [bash("cd $OUTPUT_DIR && for n in $(seq 150); do echo $n > $n; done")],
        [text("Done.")],
    )
    message = post(http, ask("Go.", tools=offering("20260120")))
    cell, command = results(message)
    made = cell["content"]
    assert len(made) == 100
    assert made[-1].keys() == {"type", "file_id", "filename", "mime_type", "size_bytes"}
    assert len(archive(http, made[-1]["file_id"])) == 2403
    assert "2,403 more files are in files (2).zip" in told(model)
    assert len(command["content"]) == 100
    assert len(archive(http, command["content"][-1]["file_id"])) == 51
    assert "51 more files are in files.zip" in told(model, 2)


def test_what_has_changed_is_told_apart_from_what_is_new(http: httpx2.Client, model: Model) -> None:
    container = http.post("/v1/containers", json={}).json()["id"]
    first = run(http, "for name in 'ab': open(name, 'w').write(name)", container=container)
    assert {file["path"]: file["change"] for file in first["files"]} == {"a": "created", "b": "created"}
    assert first["deleted"] == []
    model.play(
        [code("import os\nopen('a', 'a').write('more')\nos.remove('b')\nopen('c', 'w').close()")],
        [text("Done.")],
    )
    post(http, ask("Go.", container=container))
    assert "a (text/plain, 5 bytes, changed), c (" in told(model)
    assert "Deleted: b." in told(model)
    assert told(model).count("changed") == 1
    last = run(http, "import os; os.remove('a'); os.remove('c')", container=container)
    assert (last["files"], last["deleted"]) == ([], ["a", "c"])


def test_files_of_one_name_are_all_there(http: httpx2.Client) -> None:
    names: list[Any] = ["r.txt", "one/r.txt", "two/r.txt", "R.TXT", "\xe9", "e\u0301", "a\nb", "a b"]
    done = run(
        http,
        "import os\n"
        f"for name in {names!r}:\n"
        "    os.makedirs(os.path.dirname(name) or '.', exist_ok=True)\n"
        "    open(name, 'w').write('work ' + name)\n"
        "open(os.environ['OUTPUT_DIR'] + '/r.txt', 'w').write('output')\n"
        "open(b'\\xff.txt', 'w').write('odd')\n"
        "open('\\\\\\\\xff.txt', 'w').write('plain')\n",
    )
    contents = sorted(http.get(f"/v1/files/{file['file_id']}/content").text for file in done["files"])
    assert contents == sorted([*(f"work {name}" for name in names), "output", "odd", "plain"])
    for file in done["files"]:
        answer = http.get(f"/v1/files/{file['file_id']}/content")
        assert "\n" not in answer.headers["content-disposition"]


def test_an_exception_for_the_model_and_for_the_client(http: httpx2.Client, model: Model) -> None:
    source = "import json\ndef price(rows):\n    return rows['prise']\nprint('before')\nprice({'price': 3})\n"
    model.play([code(source)], [code("json.loads('[')")], [text("Done.")])
    message = post(http, ask("Go.", tools=offering("20260120")))
    first, second = results(message)
    assert first["stderr"].startswith("Traceback (most recent call last):\n")
    assert first["stderr"].endswith("KeyError: 'prise'\n")
    heard = told(model)
    assert heard.startswith("before\nTraceback (most recent call last):\n")
    assert "In price, line 3:\n  rows: dict, 1 item: {'price': 3}\n" in heard
    assert heard.endswith("Hint: There is 'price'. The keys are: 'price'.")
    assert "json/decoder.py" in second["stderr"] and "inside json" not in second["stderr"]
    assert "[2 calls inside json]" in told(model, 2)


def test_an_exception_that_the_code_has_forged_is_no_fault_of_ours(http: httpx2.Client, model: Model) -> None:
    forged = (
        "import json\nplain = json.plain = getattr(json, 'plain', json.dumps)\n"
        "json.dumps = lambda value, **how: {} if 'ename' in value else plain(value, **how)\n"
        "print('before')\n1 / 0"
    )
    bodies = [
        "'{}'",
        "plain({**value, 'traceback': [], 'hint': 'Look.'})",
        "plain({**value, 'traceback': ['']})",
    ]
    model.play(*([code(forged.format(body))] for body in bodies), [text("Done.")])
    post(http, ask("Go.", tools=offering("20260120")))
    for number in (1, 2, 3):
        assert told(model, number).startswith("before")
    assert "Hint: Look." in told(model, 2)


def test_an_exception_as_data(http: httpx2.Client) -> None:
    done = run(http, "def f(n):\n    return n / 0\nf(3)")
    (error,) = [output for output in done["outputs"] if output["type"] == "error"]
    assert [(frame["function"], frame["line"], frame["is_own"]) for frame in error["frames"]] == [
        ("<module>", 3, True),
        ("f", 2, True),
    ]
    assert error["values"] == [{"name": "n", "type": "int", "text": "3"}]
    assert error["hint"] is None
    assert error["brief"][-1] == "ZeroDivisionError: division by zero"
    done = run(http, "import pandsa")
    assert "pandas" in done["outputs"][-1]["hint"]
    assert done["outcome"]["reason"] == "ModuleNotFoundError"
