"""Containers by name, and the files in their working directories, over HTTP."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from serving import Server, serving

MOST = 40_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("containers"),
        preload={},
        max_file_bytes=MOST,
        max_body_bytes=20_000,
        container_sleep_seconds=3600,
        max_sessions=2,
    ) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """A client of a server that has no containers."""
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        for container in client.get("/v1/containers?limit=1000").json()["data"]:
            client.delete(f"/v1/containers/{container['id']}")
        yield client


@pytest.fixture
def container(client: httpx2.Client) -> str:
    return made(client)


def made(client: httpx2.Client, **limits: int) -> str:
    answer = client.post("/v1/containers", json={"limits": limits} if limits else {})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def url(container: str, path: str = "") -> str:
    return f"/v1/containers/{container}/files" + (f"/{quote(path)}" if path else "")


def run(client: httpx2.Client, container: str, code: str) -> dict[str, Any]:
    answer = client.post("/v1/executions", json={"code": code, "container": container})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def paths(client: httpx2.Client, container: str) -> dict[str, int]:
    answer = client.get(url(container)).json()
    assert answer["is_whole"]
    return {file["path"]: file["size_bytes"] for file in answer["data"]}


def refusal(answer: httpx2.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["message"])


def test_containers_are_listed_from_the_newest_on_in_pages(client: httpx2.Client) -> None:
    assert client.get("/v1/containers").json() == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }
    ids = [made(client) for _ in range(3)]
    client.post("/v1/executions", json={"code": "1"})  # its session is nobody's container
    first = client.get("/v1/containers?limit=2").json()
    assert [one["id"] for one in first["data"]] == [ids[2], ids[1]]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, ids[2], ids[1])
    assert first["data"][0] == client.get(f"/v1/containers/{ids[2]}").json()
    second = client.get(f"/v1/containers?limit=2&after_id={ids[1]}").json()
    assert [one["id"] for one in second["data"]] == [ids[0]]
    assert not second["has_more"]
    client.delete(f"/v1/containers/{ids[1]}")
    assert client.get(f"/v1/containers?after_id={ids[1]}").json()["data"] == second["data"]


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", ""])
def test_a_limit_that_is_none(client: httpx2.Client, limit: str) -> None:
    assert "from 1 to 1000" in refusal(client.get(f"/v1/containers?limit={limit}"), 400)


@pytest.mark.parametrize(
    "path", ["a.csv", "data/2024/Umsätze März.csv", "数据/表.txt", "a b&c=d#e?f%41.txt", ".rc"]
)
def test_a_file_goes_in_is_there_for_code_and_comes_out(
    client: httpx2.Client, container: str, path: str
) -> None:
    put = client.put(url(container, path), content=b"a,b\n1,2\n")
    assert put.status_code == 200, put.text
    assert put.json() == {
        "path": path,
        "type": "container_file",
        "size_bytes": 8,
        "changed_at": put.json()["changed_at"],
    }
    assert client.get(url(container)).json()["data"] == [put.json()]
    assert run(client, container, f"print(open({path!r}).read(), end='')")["stdout"] == "a,b\n1,2\n"
    got = client.get(url(container, path))
    assert got.content == b"a,b\n1,2\n"
    assert f"filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}" in got.headers["content-disposition"]
    assert got.headers["x-content-type-options"] == "nosniff"
    assert client.delete(url(container, path)).json() == {"path": path, "type": "container_file_deleted"}
    assert paths(client, container) == {}
    assert "there is no such file" in refusal(client.get(url(container, path)), 404)


def test_a_file_of_any_name_is_got_by_the_path_it_is_listed_with(
    client: httpx2.Client, container: str
) -> None:
    run(
        client,
        container,
        "for name in (b'new\\nline', b'\\x1b[31m\\t', b'\\xff', b'\\\\xff', b'a\\\\b', b'\\xe9' * 255):\n"
        "    open(name, 'wb').write(name)\n",
    )
    listed = paths(client, container)
    assert {"new\\x0aline", "\\x1b[31m\\x09", "\\xff", "\\x5cxff", "a\\b"} < set(listed)
    contents = [client.get(url(container, path)).content for path in listed]
    assert sorted(contents) == sorted(
        [b"new\nline", b"\x1b[31m\t", b"\xff", b"\\xff", b"a\\b", b"\xe9" * 255]
    )
    for path in listed:
        assert client.delete(url(container, path)).json()["path"] == path
    assert paths(client, container) == {}


def test_an_empty_file_and_one_in_place_of_another(client: httpx2.Client, container: str) -> None:
    client.put(url(container, "a"), content=b"first")
    client.put(url(container, "a"), content=b"")
    assert paths(client, container) == {"a": 0}
    assert client.get(url(container, "a")).content == b""


def test_a_large_file_is_passed_on_as_it_comes(client: httpx2.Client, container: str) -> None:
    """It is larger than a body that is read whole may be."""
    body = bytes(range(256)) * 40_000

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    assert client.put(url(container, "large"), content=pieces()).json()["size_bytes"] == len(body)
    got = client.get(url(container, "large"))
    assert hashlib.sha256(got.content).digest() == hashlib.sha256(body).digest()
    assert got.headers["content-length"] == str(len(body))


def test_code_sees_what_was_put_beside_its_variables(client: httpx2.Client, container: str) -> None:
    run(client, container, "x = 7; open('made', 'w').write('by code')")
    client.put(url(container, "sub/put"), content=b"by hand")
    assert paths(client, container) == {"made": 7, "sub/put": 7}
    done = run(client, container, "print(x, open('sub/put').read())")
    assert done["stdout"] == "7 by hand\n"
    assert done["files"] == []  # what was put is nothing that code has made


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../a", "it may not contain '/' nor be '.' or '..'"),
        ("a/../b", "it may not contain '/' nor be '.' or '..'"),
        ("a//b", "has 1 to 255 bytes, this one has 0"),
        ("a/", "has 1 to 255 bytes, this one has 0"),
        ("x" * 256, "has 1 to 255 bytes, this one has 256"),
        ("a\tb", "contains a control character"),
        ("/".join("d" * 18), "at most 17 components"),
        (".belljar-1", "Belljar's own"),
    ],
)
def test_a_path_that_is_none(client: httpx2.Client, container: str, path: str, why: str) -> None:
    # Spelled so that no client tidies it up.
    target = url(container) + "/" + quote(path, safe="").replace(".", "%2E")
    for method in ("PUT", "GET", "DELETE"):
        assert why in refusal(client.request(method, target, content=b"x"), 400)
    assert paths(client, container) == {}


def test_links_lead_nowhere(client: httpx2.Client, container: str) -> None:
    code = "import os; os.symlink('/etc', 'dir'); os.symlink('/etc/passwd', 'file'); os.mkdir('real')"
    run(client, container, code)
    assert paths(client, container) == {}
    for path in ("dir/passwd", "file", "real"):
        assert path in refusal(client.get(url(container, path)), 404)
    assert "could not be written" in refusal(client.put(url(container, "dir/new"), content=b"x"), 400)
    assert "it is a directory" in refusal(client.delete(url(container, "real")), 404)
    assert "could not be written" in refusal(client.put(url(container, "real"), content=b"x"), 400)
    client.put(url(container, "file"), content=b"in place of the link")
    assert run(client, container, "print(os.path.islink('file'), open('file').read())")["stdout"] == (
        "False in place of the link\n"
    )


def test_a_file_in_the_place_of_a_directory_on_the_way(client: httpx2.Client, container: str) -> None:
    client.put(url(container, "a"), content=b"file")
    assert "Not a directory" in refusal(client.put(url(container, "a/b"), content=b"x"), 400)
    assert paths(client, container) == {"a": 4}


def test_what_does_not_fit_leaves_nothing(client: httpx2.Client) -> None:
    container = made(client, disk_bytes=4 * 1024 * 1024)
    client.put(url(container, "a"), content=b"old")
    why = refusal(client.put(url(container, "a"), content=b"x" * 6_000_000), 400)
    assert "No space left on device" in why
    assert client.get(url(container, "a")).content == b"old"
    left = run(client, container, "import os; print(sorted(os.listdir('.')), os.statvfs('.').f_bfree > 500)")
    assert left["stdout"] == "['a'] True\n"


def test_what_is_over_the_limit_of_the_server(client: httpx2.Client, container: str) -> None:
    too_large = client.put(url(container, "a"), content=b"x" * (MOST + 1))
    assert f"The file has more than the {MOST} bytes" in refusal(too_large, 413)
    assert paths(client, container) == {}


def test_a_client_that_hangs_up_half_way_leaves_nothing(
    server: Server, client: httpx2.Client, container: str
) -> None:
    client.put(url(container, "a"), content=b"old")
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"PUT {url(container, 'a')} HTTP/1.1\r\nhost: x\r\ncontent-length: 30000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 20_000_000)
    # The next one has its turn when that is over.
    done = run(client, container, "import os; print(os.listdir('.'), open('a').read())")
    assert done["stdout"] == "['a'] old\n"


def test_a_download_holds_nobody_up_and_is_cut_off_where_the_file_changes(
    client: httpx2.Client, container: str
) -> None:
    run(client, container, "open('large', 'wb').write(bytes(30_000_000))")
    with client.stream("GET", url(container, "large")) as answer:
        assert answer.headers["content-length"] == "30000000"
        assert run(client, container, "print(1)")["stdout"] == "1\n"  # while nobody reads
        run(client, container, "open('large', 'ab').write(b'more')")
        with pytest.raises(httpx2.RemoteProtocolError):
            answer.read()


def test_a_container_that_is_asleep_wakes_for_its_files(client: httpx2.Client, container: str) -> None:
    client.put(url(container, "a/b"), content=b"kept")
    for _ in range(2):  # there is place for two
        run(client, made(client), "1")
    assert client.get(f"/v1/containers/{container}").json()["state"] == "asleep"
    assert client.get(url(container, "a/b")).content == b"kept"
    assert client.get(f"/v1/containers/{container}").json()["state"] == "idle"


def test_an_attachment_of_the_same_name_gets_another_one(client: httpx2.Client, container: str) -> None:
    client.put(url(container, "a.csv"), content=b"mine")
    file = client.post("/v1/files", files={"file": ("a.csv", b"theirs")}).json()
    content = [
        {"type": "text", "text": "```python\nimport glob\nprint(sorted(glob.glob('*.csv')))\n```"},
        {"type": "container_upload", "file_id": file["id"]},
    ]
    answer = client.post(
        "/v1/messages",
        json={
            "model": "m",
            "max_tokens": 10,
            "container": container,
            "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
            "messages": [{"role": "user", "content": content}],
        },
    )
    assert answer.status_code == 200, answer.text
    [result] = [block for block in answer.json()["content"] if block["type"].endswith("_tool_result")]
    assert result["content"]["stdout"] == "['a (2).csv', 'a.csv']\n"
    assert client.get(url(container, "a.csv")).content == b"mine"


def test_what_does_not_exist(client: httpx2.Client, container: str) -> None:
    assert "there is no such file" in refusal(client.delete(url(container, "none")), 404)
    for method in ("GET", "PUT", "DELETE"):
        assert "There is no container" in refusal(client.request(method, url("container_none", "a")), 404)
    assert "There is no container" in refusal(client.get(url("container_none")), 404)
    assert client.get(f"/v1/containers/{container}").status_code == 200  # it is not thought to be lost
