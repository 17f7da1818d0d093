"""Every version of the tool over HTTP, with code that really runs."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest
from serving import Model, ask, bash, code, said, text
from test_messages import post, stream, types

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def offering(version: str) -> list[dict[str, Any]]:
    return [{"type": f"code_execution_{version}", "name": "code_execution"}]


def editor(use_id: str = "toolu_e", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": "text_editor_code_execution", "input": given}


def results(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["content"] for block in message["content"] if block["type"].endswith("_tool_result")]


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("20250522", ["code_execution"]),
        ("20250825", ["bash_code_execution", "text_editor_code_execution"]),
        ("20260120", ["bash_code_execution", "text_editor_code_execution", "code_execution"]),
        ("20260521", ["bash_code_execution", "text_editor_code_execution", "code_execution"]),
    ],
)
def test_what_the_model_is_offered(http: httpx2.Client, model: Model, version: str, names: list[str]) -> None:
    model.play([text("Hello.")])
    tools = [
        {**offering(version)[0], "cache_control": {"type": "ephemeral"}},
        {"name": "mine", "input_schema": {}},
    ]
    post(http, ask("Hello.", tools=tools))
    sent = model.requests[0]["tools"]
    assert [tool["name"] for tool in sent] == [*names, "mine"]
    assert all("type" not in tool and tool["input_schema"] is not None for tool in sent)
    assert [bool(tool.get("cache_control")) for tool in sent[:-1]] == [False] * (len(names) - 1) + [True]


def test_a_shell_and_an_editor(http: httpx2.Client, model: Model) -> None:
    model.play(
        [text("First."), editor(command="create", path="/tmp/a.txt", file_text="one\ntwo\n")],
        [bash("cat /tmp/a.txt; cp /tmp/a.txt $OUTPUT_DIR/; echo oops >&2; exit 4")],
        [editor(command="str_replace", path="/tmp/a.txt", old_str="two", new_str="2")],
        [editor(command="view", path="/tmp/a.txt", view_range=[2, 2])],
        [editor(command="view", path="/tmp/none")],
        [text("Done.")],
    )
    message = post(http, ask("Go.", tools=offering("20250825")))
    shell, edit = "bash_code_execution_tool_result", "text_editor_code_execution_tool_result"
    uses = ["server_tool_use"]
    assert types(message) == ["text", *uses, edit, *uses, shell, *[*uses, edit] * 3, "text"]
    created, ran, replaced, viewed, missing = results(message)
    assert created == {"type": "text_editor_code_execution_create_result", "is_file_update": False}
    (entry,) = ran.pop("content")
    assert ran == {
        "type": "bash_code_execution_result",
        "stdout": "one\ntwo\n",
        "stderr": "oops\n",
        "return_code": 4,
    }
    assert entry["type"] == "bash_code_execution_output"
    assert (entry["filename"], entry["mime_type"], entry["size_bytes"]) == ("a.txt", "text/plain", 8)
    assert http.get(f"/v1/files/{entry['file_id']}/content").content == b"one\ntwo\n"
    assert replaced == {
        "type": "text_editor_code_execution_str_replace_result",
        "lines": [" one", "-two", "+2"],
        "old_start": 1,
        "old_lines": 2,
        "new_start": 1,
        "new_lines": 2,
    }
    assert viewed == {
        "type": "text_editor_code_execution_view_result",
        "file_type": "text",
        "content": "2",
        "num_lines": 1,
        "start_line": 2,
        "total_lines": 2,
    }
    assert missing["type"] == "text_editor_code_execution_tool_result_error"
    assert (missing["error_code"], missing["error_message"]) == (
        "file_not_found",
        "There is no file /tmp/none.",
    )
    assert message["usage"]["server_tool_use"]["code_execution_requests"] == 5
    told = [request["messages"][-1]["content"][0] for request in model.requests[1:]]
    assert [block.get("is_error", False) for block in told] == [False, True, False, False, True]
    assert "Return code: 4." in str(told[1]) and "a.txt (text/plain" in str(told[1])
    assert "[lines 2 to 2 of 2]" in str(told[3])


def test_a_command_that_finds_the_disk_full_is_told_of_the_limit(http: httpx2.Client, model: Model) -> None:
    fill = "head -c 400M /dev/zero > /tmp/a; head -c 400M /dev/zero > /tmp/b"
    model.play([bash(fill)], [text("Oh.")])
    post(http, ask("Go.", tools=offering("20250825")))
    told = str(model.requests[1]["messages"][-1]["content"][0])
    assert "No space left on device" in told
    assert "The session's 512 MiB of disk space are used up" in told


def test_a_picture_is_viewed(http: httpx2.Client, model: Model) -> None:
    model.play(
        [bash(f"echo {PNG} | base64 -d > /tmp/a.png; printf '%%PDF-1.4' > /tmp/a.pdf")],
        [
            editor("toolu_1", command="view", path="/tmp/a.png"),
            editor("toolu_2", command="view", path="/tmp/a.pdf"),
        ],
        [text("I see.")],
    )
    message = post(http, ask("Go.", tools=offering("20250825")))
    assert [(r["file_type"], base64.b64decode(r["content"])[:4]) for r in results(message)[1:]] == [
        ("image", b"\x89PNG"),
        ("pdf", b"%PDF"),
    ]
    numbers = ("num_lines", "start_line", "total_lines")
    assert all(view[number] is None for view in results(message)[1:] for number in numbers)
    first, second = (block["content"] for block in model.requests[2]["messages"][-1]["content"])
    assert [block["type"] for block in first] == ["text", "image"]
    assert [block["type"] for block in second] == ["text", "document"]
    # Sent again as history, the picture is not repeated, only that it was there.
    model.play([text("Yes.")])
    again = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "And?"},
    ]
    post(http, ask(again, tools=offering("20250825")))
    assert "An image was shown" in str(model.requests[0]["messages"])


def test_parallel_uses(http: httpx2.Client, model: Model) -> None:
    """Each command waits for the other; the cell comes after them, by its place."""
    model.play(
        [bash("mkfifo one two")],
        [
            bash("echo 1 > one; cat two", "toolu_1"),
            bash("cat one; echo 2 > two", "toolu_2"),
            code("x = 3; print(x)", "toolu_3"),
            code("print(x + 1)", "toolu_4"),
            bash("echo 5", "toolu_5"),
        ],
        [text("Done.")],
    )
    message = post(http, ask("Go.", tools=offering("20260120")))
    ids = [block["id"] for block in message["content"] if block["type"] == "server_tool_use"][1:]
    assert ids == [f"srvtoolu_{n}" for n in range(1, 6)]
    answered = [
        block["tool_use_id"] for block in message["content"] if block["type"].endswith("_tool_result")
    ]
    assert answered[1:] == ids
    assert [r["stdout"] for r in results(message)[1:]] == ["2\n", "1\n", "3\n", "4\n", "5\n"]
    kinds = types(message)
    assert kinds[2:] == ["server_tool_use"] * 5 + [
        *["bash_code_execution_tool_result"] * 2,
        *["code_execution_tool_result"] * 2,
        "bash_code_execution_tool_result",
        "text",
    ]


def test_cells_share_variables_and_files_with_the_shell(http: httpx2.Client, model: Model) -> None:
    tools = offering("20260521")
    model.play([code("x = 20; open('f', 'w').write('y = 22')")], [text("Kept.")])
    first = post(http, ask("Go.", tools=tools))
    model.play([bash("cat f")], [code("exec(open('f').read()); print(x + y)")], [text("42.")])
    second = post(http, ask("Go.", tools=tools, container={"id": first["container"]["id"]}))
    assert [r["stdout"] for r in results(second)] == ["y = 22", "42\n"]
    assert second["container"]["id"] == first["container"]["id"]


def test_the_time_is_up_for_a_command(hasty: httpx2.Client, model: Model) -> None:
    model.play([bash("echo begun; sleep 1000"), bash("echo other", "toolu_2")], [text("Slow.")])
    first, second = results(post(hasty, ask("Go.", tools=offering("20250825"))))
    assert (first["stdout"], first["return_code"]) == ("begun\n", 124)
    assert "stopped after 1 s" in first["stderr"]
    assert (second["stdout"], second["stderr"], second["return_code"]) == ("other\n", "", 0)


@pytest.mark.parametrize(
    ("use", "error_code"),
    [
        (bash("x") | {"input": {}}, "invalid_tool_input"),
        (bash("x") | {"input": {"command": 3}}, "invalid_tool_input"),
        (bash("a\0b"), "invalid_tool_input"),
        (editor(command="view"), "invalid_tool_input"),
        (editor(command="undo_edit", path="x"), "invalid_tool_input"),
        (editor(command="view", path="/tmp", view_range="1"), None),
        (code("x") | {"input": {"code": None}}, "invalid_tool_input"),
    ],
)
def test_inputs_that_are_none(
    http: httpx2.Client, model: Model, use: dict[str, Any], error_code: str | None
) -> None:
    model.play([use], [text("I see.")])
    (result,) = results(post(http, ask("Go.", tools=offering("20260120"))))
    assert result.get("error_code") == error_code


def test_a_stream(http: httpx2.Client, model: Model) -> None:
    model.play([bash("echo hi")], [text("Hi.")])
    events = stream(http, ask("Go.", tools=offering("20250825")))
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["type"] for block in starts] == [
        "server_tool_use",
        "bash_code_execution_tool_result",
        "text",
    ]
    assert starts[0]["input"] == {}
    assert starts[1]["content"]["stdout"] == "hi\n"


@pytest.mark.parametrize(
    ("sdk", "version", "is_whole"), [("python", "0.52.0", True), ("js", "0.71.0", False)]
)
def test_old_stream_helpers_find_the_input_in_the_start(
    http: httpx2.Client, model: Model, sdk: str, version: str, is_whole: bool
) -> None:
    model.play([bash("echo hi")], [text("Hi.")])
    who = {"x-stainless-lang": sdk, "x-stainless-package-version": version}
    events = stream(http, ask("Go.", tools=offering("20250825")), who)
    start = next(event["content_block"] for event in events if event["type"] == "content_block_start")
    assert start["input"] == ({"command": "echo hi"} if is_whole else {})
    written = "".join(
        event["delta"]["partial_json"]
        for event in events
        if event.get("delta", {}).get("type") == "input_json_delta"
    )
    assert written == '{"command": "echo hi"}'


def test_the_inline_profile(http: httpx2.Client, model: Model) -> None:
    model.play([bash("echo hi"), editor(command="create", path="x", file_text="y")], [text("Hi.")])
    message = post(http, ask("Go.", tools=offering("20250825")), {"belljar-profile": "inline"})
    shown = [block["text"] for block in message["content"] if block["type"] == "code_execution_result"]
    assert shown == ["Result: hi", "Result: The file was made."]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"container": {"id": 3}}, "container"),
        ({"container": {"skills": [{"type": "anthropic", "skill_id": "xlsx"}]}}, "container.skills"),
        ({"tools": offering("20990101")}, "known: code_execution_20250522, code_execution_20250825"),
        (
            {"tools": [*offering("20250825"), {"name": "bash_code_execution", "input_schema": {}}]},
            "choose another",
        ),
        ({"tools": offering("20250825") * 2}, "the name of another tool"),
        ({"tool_choice": {"type": "tool", "name": "nothing"}}, "there is no tool 'nothing'"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name: Field required"),
        ({"tool_choice": {"type": "all"}}, "tool_choice.type"),
    ],
)
def test_requests_that_cannot_be(http: httpx2.Client, model: Model, more: dict[str, Any], says: str) -> None:
    answer = http.post("/v1/messages", json=ask("Go.", **{"tools": offering("20260120"), **more}))
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("version", "choice", "sent"),
    [
        ("20250522", {"type": "tool", "name": "code_execution"}, {"type": "tool", "name": "code_execution"}),
        (
            "20250825",
            {"type": "tool", "name": "code_execution"},
            {"type": "tool", "name": "bash_code_execution"},
        ),
        ("20260120", {"type": "tool", "name": "code_execution"}, {"type": "tool", "name": "code_execution"}),
        ("20260120", {"type": "any", "disable_parallel_tool_use": True}, None),
        ("20260120", {"type": "none"}, None),
        ("20260120", {"type": "auto"}, None),
    ],
)
def test_choices(
    http: httpx2.Client, model: Model, version: str, choice: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    """A choice that forces a use holds for the first turn; else there would be no end."""
    model.play([said([bash("true") if version != "20250522" else code("1")])["content"][0]], [text("Done.")])
    post(http, ask("Go.", tools=offering(version), tool_choice=choice))
    assert model.requests[0]["tool_choice"] == (sent or choice)
    after = model.requests[1]["tool_choice"]
    assert after["type"] == ("auto" if choice["type"] in {"any", "tool"} else choice["type"])
    assert after.get("disable_parallel_tool_use") == choice.get("disable_parallel_tool_use")


def upload(http: httpx2.Client, name: str, body: bytes, kind: str = "text/csv") -> str:
    answer = http.post("/v1/files", files={"file": (name, body, kind)})
    assert answer.status_code == 200, answer.text
    file_id: str = answer.json()["id"]
    return file_id


def uploaded(*file_ids: str) -> list[dict[str, Any]]:
    content = [
        *({"type": "container_upload", "file_id": file_id} for file_id in file_ids),
        text("Look at it."),
    ]
    return [{"role": "user", "content": content}]


def test_files_that_were_sent_lie_in_the_container(http: httpx2.Client, model: Model) -> None:
    first, second = upload(http, "ünï.csv", b"a,b\n1,2\n"), upload(http, "ünï.csv", b"c\n3\n")
    model.play([bash('cat "$INPUT_DIR/ünï.csv"; cat "ünï (2).csv"; echo changed > ünï.csv')], [text("Seen.")])
    tools = offering("20260120")
    message = post(http, ask(uploaded(first, second), tools=tools))
    assert results(message)[0]["stdout"] == "a,b\n1,2\nc\n3\n"
    told = str(model.requests[0]["messages"])
    assert "ünï.csv (in the working directory, which is $INPUT_DIR), 8 bytes, text/csv" in told
    assert "container_upload" not in told

    # Named again in history they are not written again, and may be deleted meanwhile.
    assert http.delete(f"/v1/files/{first}").status_code == 200
    model.play([bash("cat ünï.csv")], [text("Changed.")])
    history = [
        *uploaded(first, second),
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "Again."},
    ]
    again = post(http, ask(history, tools=tools, container=message["container"]["id"]))
    assert results(again)[0]["stdout"] == "changed\n"
    assert f"{first} that was attached here is ünï.csv in $INPUT_DIR" in str(model.requests[0]["messages"])
    # In another container it is told to be gone, unless it is the last message that asks for it.
    model.play([text("Pity.")])
    post(http, ask(history, tools=tools))
    assert f"{first} that was attached here is no longer there" in str(model.requests[0]["messages"])
    refused = http.post("/v1/messages", json=ask(uploaded(first), tools=tools))
    assert refused.status_code == 404
    assert refused.json()["error"]["message"].startswith("messages.0.content.0.file_id: There is no file")


def test_an_upload_lies_in_a_container_though_nothing_ran(http: httpx2.Client, model: Model) -> None:
    file_id = upload(http, "a.csv", b"a,b\n1,2\n")
    tools = offering("20260120")
    model.play([text("What shall I do with it?")])
    first = post(http, ask(uploaded(file_id), tools=tools))
    assert types(first) == ["text"]
    # The client names the container and sends the file no more.
    model.play([bash('cat "$INPUT_DIR/a.csv"')], [text("Two columns.")])
    second = post(http, ask("Read it.", tools=tools, container=first["container"]["id"]))
    assert results(second)[0]["stdout"] == "a,b\n1,2\n"
    assert second["container"]["id"] == first["container"]["id"]
    # Another one comes into the same container.
    model.play([text("And with this?")])
    other = upload(http, "b.csv", b"c\n")
    third = post(http, ask(uploaded(other), tools=tools, container=first["container"]["id"]))
    assert third["container"]["id"] == first["container"]["id"]
    model.play([bash("cat a.csv b.csv")], [text("All.")])
    fourth = post(http, ask("Read both.", tools=tools, container=first["container"]["id"]))
    assert results(fourth)[0]["stdout"] == "a,b\n1,2\nc\n"
    # History alone makes no container.
    model.play([text("Bye.")])
    history = [*uploaded(file_id), {"role": "assistant", "content": first["content"]}]
    assert post(http, ask([*history, {"role": "user", "content": "Bye."}], tools=tools))["container"] is None


def test_an_upload_in_history_needs_no_tool(http: httpx2.Client, model: Model) -> None:
    file_id = upload(http, "a.csv", b"1")
    model.play([text("It was a CSV.")])
    history = [
        *uploaded(file_id),
        {"role": "assistant", "content": "I have read it."},
        {"role": "user", "content": "Sum up."},
    ]
    assert types(post(http, ask(history, tools=[]))) == ["text"]
    assert f"The user attached the file {file_id}" in str(model.requests[0]["messages"][0])


def test_a_large_upload_is_not_held_in_memory(http: httpx2.Client, model: Model) -> None:
    file_id = upload(http, "large.bin", bytes(40_000_000), "application/octet-stream")
    model.play([bash("stat -c %s large.bin; rm large.bin")], [text("Large.")])
    message = post(http, ask(uploaded(file_id), tools=offering("20250825")))
    assert results(message)[0]["stdout"] == "40000000\n"


@pytest.mark.parametrize(
    ("block", "tools", "status", "says"),
    [
        ({}, offering("20260120"), 400, "messages.0.content.0.file_id: Input should be a valid string"),
        (
            {"file_id": "file_none"},
            offering("20260120"),
            404,
            "messages.0.content.0.file_id: There is no file",
        ),
        (None, [], 400, "container_upload needs the code execution tool"),
    ],
)
def test_uploads_that_cannot_be(
    http: httpx2.Client, block: dict[str, Any] | None, tools: list[Any], status: int, says: str
) -> None:
    named = {"file_id": upload(http, "a.csv", b"1")} if block is None else block
    content = [{"type": "container_upload", **named}, text("Look.")]
    answer = http.post("/v1/messages", json=ask([{"role": "user", "content": content}], tools=tools))
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]


def test_a_long_output_is_cut_for_the_model_and_lies_whole_in_the_container(
    http: httpx2.Client, model: Model
) -> None:
    model.play(
        [code("print('x' * 80_000, 'the end')")],
        [bash("wc -c output-1.txt; tail -c 7 output-1.txt")],
        [text("Long.")],
    )
    message = post(http, ask("Go.", tools=offering("20260120")))
    first, second = results(message)
    assert len(first["stdout"]) == 80_009
    assert second["stdout"] == "80008 output-1.txt\nthe end"
    told = model.requests[1]["messages"][-1]["content"][0]["content"][0]["text"]
    assert "all of it is in output-1.txt" in told
    assert len(told) < 51_000
    assert told.endswith("the end")
