"""Containers that outlive the server: the real one, ended in both ways, and the next one on the same state."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx2
from serving import Model, ask, code, serving, text

LITTLE = {"preload": {}, "parked": 0}
MAKE = (
    "import os\nx = 5\nopen('größe.txt', 'w').write('first')\nos.symlink('/etc/passwd', 'link')\n"
    "os.makedirs('sub/empty')\nopen('/tmp/cached', 'wb').write(bytes(range(256)))"
)
SHOW = (
    "import os\nprint(open('größe.txt').read(), os.readlink('link'), os.listdir('sub'), 'x' in globals(), "
    "open('/tmp/cached', 'rb').read() == bytes(range(256)))"
)


def run(url: str, container: str, source: str) -> dict[str, Any]:
    answer = httpx2.post(f"{url}/v1/executions", json={"code": source, "container": container}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def state(url: str, container: str) -> str:
    return httpx2.get(f"{url}/v1/containers/{container}").json()["state"]


def test_ended_and_killed(tmp_path: Path) -> None:
    with serving(tmp_path, **LITTLE) as server:
        kept = httpx2.post(f"{server.url}/v1/containers").json()["id"]
        first = run(server.url, kept, MAKE)
        assert not first["restored"]
        assert server.end(signal.SIGTERM) == 0
    with serving(tmp_path, **LITTLE) as server:
        assert state(server.url, kept) == "asleep"
        back = run(server.url, kept, SHOW)
        assert back["stdout"] == "first /etc/passwd ['empty'] False True\n"
        assert (back["restored"], back["files"], back["container"]) == (True, [], kept)
        assert "its files are back, its variables are gone" in back["outcome"]["message"]
        again = run(server.url, kept, "y = 6\nopen('größe.txt', 'w').write('second')")
        assert not again["restored"]
        assert "put away" not in again["outcome"]["message"]
        lost = httpx2.post(f"{server.url}/v1/containers").json()["id"]
        run(server.url, lost, "x = 1")
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    with serving(tmp_path, **LITTLE) as server:
        back = run(server.url, kept, SHOW)
        assert back["stdout"] == "first /etc/passwd ['empty'] False True\n"
        assert back["restored"]
        assert "the server that ran it ended without putting it away" in back["outcome"]["message"]
        refused = httpx2.post(f"{server.url}/v1/executions", json={"code": "1", "container": lost})
        assert refused.status_code == 404
        assert "the server that ran it ended" in refused.json()["error"]["message"]
        assert httpx2.delete(f"{server.url}/v1/containers/{kept}").status_code == 200
    assert list((tmp_path / "blobs").glob("archive_*")) == []


def test_put_away_for_another_and_renewed(tmp_path: Path, model: Model) -> None:
    changed = {"max_sessions": 1, "container_missing": "renew", "upstream": f"anthropic:{model.url}"}
    with serving(tmp_path, **LITTLE, **changed) as server:
        first, second = (httpx2.post(f"{server.url}/v1/containers").json()["id"] for _ in range(2))
        for container in (first, second, first, second):
            done = run(server.url, container, "open('log', 'a').write('x')\nprint(len(open('log').read()))")
        assert (done["stdout"], done["restored"]) == ("2\n", True)
        assert (state(server.url, first), state(server.url, second)) == ("asleep", "idle")

        renewed = run(server.url, "container_x", "print(1)")
        assert renewed["stdout"] == "1\n"
        assert renewed["container"].startswith("container_")
        assert renewed["container"] != "container_x"
        assert state(server.url, renewed["container"]) == "idle"
        model.play([code("print(open('log').read())")], [text("So.")])
        answer = httpx2.post(f"{server.url}/v1/messages", json=ask("Go.", container=first), timeout=60).json()
        assert answer["container"]["id"] == first
        assert "xx" in str(answer["content"])
        model.play([code("print(7)")], [text("So.")])
        answer = httpx2.post(
            f"{server.url}/v1/messages", json=ask("Go.", container="container_x"), timeout=60
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["container"]["id"] not in {first, second, "container_x", renewed["container"]}


def test_a_conversation_is_told_what_is_gone(tmp_path: Path, model: Model) -> None:
    tools = [{"type": "code_execution_20260120", "name": "code_execution"}]
    edit = {"command": "view", "path": "log"}
    with serving(
        tmp_path, **LITTLE, max_sessions=1, upstream=f"anthropic:{model.url}", upstream_api_key="k"
    ) as server:

        def say(*turns: list[dict[str, Any]], container: str | None = None) -> dict[str, Any]:
            model.play(*turns)
            asked = ask("Go.", tools=tools, **({"container": container} if container else {}))
            answer = httpx2.post(f"{server.url}/v1/messages", json=asked, timeout=60)
            assert answer.status_code == 200, answer.text
            return answer.json()

        first = say([code("x = 1\nopen('log', 'w').write('kept')")], [text("Done.")])["container"]["id"]
        say([code("1")], [text("Another takes its place.")])
        back = say(
            [code("print(open('log').read())")],
            [code("print('x' in globals())")],
            [text("Done.")],
            container=first,
        )
        told = [
            block["content"] for block in back["content"] if block["type"] == "code_execution_tool_result"
        ]
        assert [result["stdout"] for result in told] == ["kept\n", "False\n"]
        assert told[0]["stderr"].startswith("The container had been put away since it was last used")
        assert (told[0]["return_code"], told[1]["stderr"]) == (0, "")
        assert "its variables are gone" in str(model.requests[1]["messages"][-1])
        say([code("1")], [text("Again.")])
        use = {"type": "tool_use", "id": "toolu_e", "name": "text_editor_code_execution", "input": edit}
        say([use], [text("Done.")], container=first)
        assert "its variables are gone" in str(model.requests[1]["messages"][-1])
