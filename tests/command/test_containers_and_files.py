"""`belljar containers` and `belljar files`, by a server in the background."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator

import httpx2
import pytest
from typed import BELLJAR, Command

NAMES = ["a b.csv", "-dash.txt", "данные.txt", "表 格.csv", "..hidden", "a'b\"c.txt", "50%.txt", "q?x#y.txt"]


@pytest.fixture(scope="module")
def http(warm_state: os.PathLike[str]) -> Iterator[httpx2.Client]:
    socket = f"{os.fspath(warm_state)}/server/api.sock"
    with httpx2.Client(
        transport=httpx2.HTTPTransport(uds=socket), base_url="http://belljar", timeout=60
    ) as one:
        yield one


@pytest.fixture
def container(http: httpx2.Client) -> str:
    return str(http.post("/v1/containers", json={}).json()["id"])


def run(http: httpx2.Client, container: str, code: str) -> dict[str, object]:
    answer = http.post("/v1/executions", json={"code": code, "container": container})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_containers(warm: Command, container: str) -> None:
    listed = warm.json("containers", "list")
    assert listed[0]["id"] == container
    assert container in warm("containers", "list").stdout
    assert warm.json("containers", "show", container)["state"] == "idle"
    shown = warm("containers", "show", container).stdout
    assert f"id          {container}" in shown
    assert "memory      1.0 GiB" in shown
    gone = warm("containers", "delete", container, "container_none")
    assert gone.returncode == 4
    assert f"the container {container} is deleted" in gone.stderr
    assert "container_none" in gone.stderr
    assert container not in warm("containers", "list").stdout


def test_more_containers_than_one_page_has(warm: Command, http: httpx2.Client) -> None:
    made = {http.post("/v1/containers", json={}).json()["id"] for _ in range(103)}
    try:
        assert made <= {one["id"] for one in warm.json("containers", "list")}
    finally:
        deleted = warm.json("containers", "delete", *made)
    assert {one["id"] for one in deleted} == made


def test_files_of_a_container(warm: Command, container: str) -> None:
    for name in NAMES:
        (warm.cwd / name).write_bytes(name.encode())
    put = warm("files", "put", "-c", container, "--", *NAMES)
    assert put.returncode == 0, put.stderr
    assert {one["path"] for one in warm.json("files", "list", "-c", container)} == set(NAMES)
    (warm.cwd / "back").mkdir()
    for name in NAMES:
        got = warm("files", "get", "-c", container, "-o", "back", "--", name)
        assert got.returncode == 0, got.stderr
    back = {path.name: path.read_bytes() for path in (warm.cwd / "back").iterdir()}
    assert sorted(back.values()) == sorted(name.encode() for name in NAMES)
    assert {"a b.csv", "данные.txt", "_-dash.txt", "_..hidden"} <= set(back)
    gone = warm("files", "delete", "-c", container, "--", *NAMES, "none")
    assert gone.returncode == 4
    assert warm.json("files", "list", "-c", container) == []


def test_times_have_one_form(warm: Command, container: str) -> None:
    (warm.cwd / "a.txt").write_text("one")
    for where in (("-c", container), ()):
        assert warm("files", "put", *where, "a.txt").returncode == 0
    assert warm("keys", "create", "one", "--state-dir", str(warm.cwd / "other")).returncode == 0
    for asked, count in (
        (("containers", "list"), 2),
        (("containers", "show", container), 3),
        (("files", "list"), 1),
        (("files", "list", "-c", container), 1),
        (("keys", "list", "--state-dir", str(warm.cwd / "other")), 1),
    ):
        told = warm(*asked).stdout
        assert len(re.findall(r"(?<!\S)2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ(?!\S)", told)) >= count, told
        assert len(re.findall(r"\d\d:\d\d", told)) == len(re.findall(r"T\d\d:\d\d:\d\dZ", told)), told


def test_a_slash_at_the_end_is_a_directory(warm: Command, container: str) -> None:
    (warm.cwd / "a.txt").write_text("one")
    assert warm("files", "put", "-c", container, "a.txt").returncode == 0
    got = warm("files", "get", "-c", container, "a.txt", "-o", "new/below/")
    assert (got.returncode, got.stderr) == (0, "belljar: saved new/below/a.txt\n")
    assert (warm.cwd / "new/below/a.txt").read_text() == "one"
    (warm.cwd / "b.txt").write_text("two")
    assert warm("files", "put", "-c", container, "a.txt", "b.txt", "--as", "deep/data/").returncode == 0
    lying = {one["path"] for one in warm.json("files", "list", "-c", container)}
    assert {"deep/data/a.txt", "deep/data/b.txt"} <= lying
    several = warm("files", "put", "-c", container, "a.txt", "b.txt", "--as", "deep")
    assert (several.returncode, several.stdout) == (125, "")
    assert "only a directory, as in --as data/" in several.stderr
    refused = warm("files", "get", "-c", container, "a.txt", "-o", "a.txt/")
    assert (refused.returncode, refused.stderr) == (125, "belljar: a.txt: File exists\n")


def test_nothing_is_written_over_untold(warm: Command, container: str) -> None:
    (warm.cwd / "a.txt").write_text("first")
    assert warm("files", "put", "-c", container, "a.txt").returncode == 0
    (warm.cwd / "a.txt").write_text("second")
    refused = warm("files", "put", "-c", container, "a.txt")
    assert refused.returncode == 125
    assert "--force" in refused.stderr
    here = warm("files", "get", "-c", container, "a.txt")
    assert here.returncode == 125
    assert "--force" in here.stderr
    assert (warm.cwd / "a.txt").read_text() == "second"
    assert warm("files", "get", "-c", container, "a.txt", "--force").returncode == 0
    assert (warm.cwd / "a.txt").read_text() == "first"
    (warm.cwd / "a.txt").write_text("third")
    assert warm("files", "put", "-c", container, "a.txt", "--force").returncode == 0
    assert warm("files", "get", "-c", container, "a.txt", "-o", "-").stdout == "third"
    assert [path.name for path in warm.cwd.iterdir()] == ["a.txt"]


def test_standard_streams_and_large_files(warm: Command, http: httpx2.Client, container: str) -> None:
    body = os.urandom(5_000_000)

    def piped(*arguments: str, stdin: bytes = b"") -> bytes:
        seen = subprocess.run(
            [str(BELLJAR), *arguments],
            input=stdin,
            capture_output=True,
            cwd=warm.cwd,
            env=warm.environment(),
            timeout=60,
        )
        assert seen.returncode == 0, seen.stderr
        return seen.stdout

    piped("files", "put", "-c", container, "-", "--as", "дир/large.bin", stdin=body)
    run(http, container, "import os; os.rename('дир/large.bin', 'moved.bin')")
    assert piped("files", "get", "-c", container, "moved.bin", "-o", "-") == body
    file_id = piped("files", "put", "-", "--as", "up.bin", stdin=body).decode().strip()
    assert file_id.startswith("file_")
    listed = {one["id"]: one for one in warm.json("files", "list")}
    assert (listed[file_id]["filename"], listed[file_id]["size_bytes"]) == ("up.bin", len(body))
    assert warm("files", "get", file_id).returncode == 125  # who has sent it has it
    assert warm.json("files", "delete", file_id)[0]["id"] == file_id


def test_a_file_that_a_run_has_made(warm: Command, http: httpx2.Client, container: str) -> None:
    made = run(http, container, "open('../work/-odd\\nname.txt', 'w').write('x')")
    (file,) = made["files"]  # type: ignore[misc]
    got = warm("files", "get", file["file_id"])
    assert got.returncode == 0, got.stderr
    assert [path.name for path in warm.cwd.iterdir()] == ["_-odd_x0aname.txt"]
    assert "\n-odd" not in warm("files", "list", "-c", container).stdout


def test_completion_in_bash(warm: Command, container: str) -> None:
    def completed(*words: str) -> list[str]:
        script = (
            'source <(belljar completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
            '_belljar_completion belljar; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        seen = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=warm.environment(PATH=f"{BELLJAR.parent}:{os.environ['PATH']}"),
        )
        assert seen.returncode == 0, seen.stderr
        return seen.stdout.split()

    assert {"run", "runtime"} == set(completed("belljar", "ru"))
    assert completed("belljar", "run", "--time") == ["--timeout"]
    assert completed("belljar", "run", "--runtime", "def") == ["default"]
    assert completed("belljar", "run", "--runtime", "=", "def") == ["default"]  # as bash tells words apart
    assert completed("belljar", "runtime", "remove", "def") == []
    assert completed("belljar", "containers", "show", container[:-2]) == [container]
    assert completed("belljar", "files", "list", "-c", container[:-2]) == [container]


@pytest.mark.parametrize(
    ("shell", "words", "current", "found"),
    [
        ("zsh", "belljar run --runtime=def", "2", "plain\n--runtime=default\n_\n"),
        ("zsh", "belljar run rep", "2", "file\nrep\n_\n"),
        ("zsh", "belljar run a rep", "3", "file\nrep\n_\n"),
        ("zsh", "belljar key", "1", "plain\nkeys\nMake, list and revoke API keys.\n"),
        ("fish", "belljar run --runtime=def", "--runtime=def", "plain,--runtime=default\n"),
        ("fish", "belljar key", "key", "plain,keys\tMake, list and revoke API keys.\n"),
        ("fish", "belljar run rep", "rep", "file,rep\n"),
    ],
)
def test_what_other_shells_are_told(
    belljar: Command, shell: str, words: str, current: str, found: str
) -> None:
    asked = {"_BELLJAR_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": current}
    seen = belljar(**asked)
    assert (seen.returncode, seen.stdout) == (0, found), seen.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(warm: Command, shell: str) -> None:
    seen = warm("completion", shell)
    assert seen.returncode == 0
    assert "_BELLJAR_COMPLETE" in seen.stdout
    assert (shell != "fish") or 'split --max 1 ","' in seen.stdout  # a help has commas


def test_json_of_half_a_character(warm: Command, container: str, http: httpx2.Client) -> None:
    run(http, container, "import os; open(b'\\xff.txt', 'w')")
    found = warm.json("files", "list", "-c", container)
    assert len(found) == 1
    json.dumps(found)
