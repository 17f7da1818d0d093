"""Code without a model, containers by name, and the files that come of it."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Server


def run(http: httpx2.Client, code: str, **more: Any) -> dict[str, Any]:
    answer = http.post("/v1/executions", json={"code": code, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_document(http: httpx2.Client) -> None:
    done = run(http, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert done["id"].startswith("exec_")
    assert done["type"] == "execution"
    assert done["container"] is None
    assert done["outcome"]["status"] == "completed"
    assert done["return_code"] == 0
    assert (done["stdout"], done["stderr"]) == ("out\n", "err\n")
    assert done["truncated"] == {"stdout": False, "stderr": False}
    assert {"type": "execute_result", "data": {"text/plain": "42"}} in done["outputs"]
    assert done["files"] == []
    assert done["usage"]["wall_seconds"] > 0
    assert done["usage"]["peak_memory_bytes"] > 0
    assert done["isolation"]["level"] in {"full", "limited"}
    assert done["laps"]


@pytest.mark.parametrize("env", [{"A=B": "1"}, {"": "1"}, {"A\0": "1"}, {"A": "\0"}, {"OUTPUT_DIR": "/"}])
def test_an_environment_that_cannot_be_is_refused(http: httpx2.Client, env: dict[str, str]) -> None:
    answer = http.post("/v1/executions", json={"code": "print(1)", "env": env})
    assert answer.status_code == 400
    (name,) = env
    assert answer.json()["error"]["message"].startswith(f"env.{name}")
    assert "Value error" not in answer.json()["error"]["message"]


def test_an_exception(http: httpx2.Client) -> None:
    done = run(http, "1 / 0")
    assert done["outcome"] == {
        "status": "raised",
        "reason": "ZeroDivisionError",
        "message": "The code raised ZeroDivisionError.",  # and nothing on a session that is gone
        "limit": None,
    }
    assert done["return_code"] == 1
    assert "ZeroDivisionError" in done["stderr"]
    (error,) = [output for output in done["outputs"] if output["type"] == "error"]
    assert error["ename"] == "ZeroDivisionError"


def test_a_time_out_keeps_the_variables(http: httpx2.Client) -> None:
    container = http.post("/v1/containers", json={}).json()["id"]
    done = run(http, "x = 5\nimport time\ntime.sleep(60)", container=container, timeout_seconds=0.5)
    assert done["outcome"]["status"] == "timed_out"
    assert done["return_code"] != 0
    assert run(http, "print(x)", container=container)["stdout"] == "5\n"


def test_inputs_and_files(http: httpx2.Client) -> None:
    data = base64.b64encode(b"a,b\n1,2\n").decode()
    code = (
        "import os\nprint(open('in put.csv').read(), input(), os.environ['COLOUR'])\n"
        "os.mkdir('sub')\nopen('sub/größe.txt', 'w').write('x')\nopen('page.html', 'w').write('<p>hi')"
    )
    done = run(
        http, code, files=[{"name": "in put.csv", "data": data}], stdin="typed\n", env={"COLOUR": "red"}
    )
    assert done["stdout"] == "a,b\n1,2\n typed red\n"
    files = {file["path"]: file for file in done["files"]}
    assert files.keys() == {"sub/größe.txt", "page.html"}
    note = files["sub/größe.txt"]
    assert (note["filename"], note["mime_type"], note["size_bytes"]) == ("größe.txt", "text/plain", 1)

    content = http.get(f"/v1/files/{note['file_id']}/content")
    assert content.content == b"x"
    assert content.headers["content-type"].startswith("text/plain")
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.headers["content-disposition"] == (
        "attachment; filename=\"gr__e.txt\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt"
    )
    meta = http.get(f"/v1/files/{note['file_id']}").json()
    assert meta["type"] == "file"
    assert meta["downloadable"] is True
    assert meta["created_at"] < meta["expires_at"]

    again = run(http, "print(open('n').read())", files=[{"name": "n", "file_id": note["file_id"]}])
    assert again["stdout"] == "x\n"
    assert http.delete(f"/v1/files/{note['file_id']}").json() == {
        "id": note["file_id"],
        "type": "file_deleted",
    }
    assert http.get(f"/v1/files/{note['file_id']}/content").status_code == 404


def test_a_large_file_survives_whole(http: httpx2.Client) -> None:
    done = run(http, "open('big.bin', 'wb').write(bytes(range(256)) * 20_000)")
    content = http.get(f"/v1/files/{done['files'][0]['file_id']}/content").content
    assert content == bytes(range(256)) * 20_000


def test_many_names_of_a_large_file_are_not_held(server: Server, http: httpx2.Client) -> None:
    done = run(http, "open('big.bin', 'wb').write(bytes(range(256)) * 80_000)")
    file_id, size = done["files"][0]["file_id"], done["files"][0]["size_bytes"]

    def most_bytes() -> int:
        text = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) * 1024

    before = most_bytes()
    files = [{"name": f"n{number}", "file_id": file_id} for number in range(20)]
    code = "import os\nprint({os.path.getsize(f'n{n}') for n in range(20)}, open('n7', 'rb').read()[-3:])"
    for more in ({}, {"container": http.post("/v1/containers", json={}).json()["id"]}):
        assert run(http, code, files=files, **more)["stdout"] == f"{{{size}}} b'\\xfd\\xfe\\xff'\n"
    assert most_bytes() - before < 5 * size


def test_figures_are_outputs(http: httpx2.Client) -> None:
    done = run(http, "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])")
    (figure,) = [output for output in done["outputs"] if output["type"] == "display_data"]
    assert base64.b64decode(figure["data"]["image/png"]).startswith(b"\x89PNG")
    assert done["files"] == []


def test_containers(http: httpx2.Client) -> None:
    made = http.post("/v1/containers", json={"limits": {"pids": 32}})
    assert made.status_code == 200
    container = made.json()
    assert container["type"] == "container"
    assert container["state"] == "idle"
    assert container["limits"]["pids"] == 32
    assert container["limits"]["memory_bytes"] == 1024**3
    assert container["isolation"]["level"] in {"full", "limited"}
    assert container["created_at"] <= container["last_used_at"] < container["expires_at"]
    done = run(http, "y = 1", container=container["id"], limits={"pids": 32})
    assert done["container"] == container["id"]
    refused = http.post(
        "/v1/executions", json={"code": "1", "container": container["id"], "limits": {"pids": 33}}
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith("limits.pids: ")
    read = http.get(f"/v1/containers/{container['id']}").json()
    assert read["last_used_at"] > container["last_used_at"]
    gone = http.delete(f"/v1/containers/{container['id']}").json()
    assert gone == {"id": container["id"], "type": "container_deleted"}
    missing = http.post("/v1/executions", json={"code": "1", "container": container["id"]})
    assert missing.status_code == 404
    assert "deleted" in missing.json()["error"]["message"]


def test_sessions_without_a_name_are_closed(http: httpx2.Client) -> None:
    before = http.get("/health").json()["sessions"]
    run(http, "z = 1")
    assert http.get("/health").json()["sessions"] == before


def test_health(http: httpx2.Client) -> None:
    health = http.get("/health").json()
    assert health["status"] == "ok"
    assert health["runtime"]["ready"] is True
    assert health["runtime"]["python"].startswith("3.")
    assert health["upstream"] == "anthropic"
    assert health["isolation"]["level"] in {"full", "limited"}


def test_a_hang_up_ends_the_code(server: Server, http: httpx2.Client) -> None:
    container = http.post("/v1/containers").json()["id"]
    code = "import time\ntime.sleep(600)"
    body = json.dumps({"code": code, "container": container, "timeout_seconds": 600}).encode()
    url = httpx2.URL(server.url)
    with socket.create_connection((url.host, url.port)) as caller:
        head = f"POST /v1/executions HTTP/1.1\r\nhost: here\r\ncontent-length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body)
        while http.get(f"/v1/containers/{container}").json()["state"] != "running":
            time.sleep(0.01)
    # Long before the code's own end the session is free again.
    assert run(http, "print('free')", container=container)["stdout"] == "free\n"
