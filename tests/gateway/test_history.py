"""The client's history in the words of a plain Messages server."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from serving import code, text, thinking
from steps import is_linear

from belljar.gateway.history import Conversation, translate, with_results, within
from belljar.gateway.tokens import cut
from belljar.wire.messages import Message


def server_use(name: str = "1", source: str = "print(1)") -> dict[str, Any]:
    return {
        "type": "server_tool_use",
        "id": f"srvtoolu_{name}",
        "name": "code_execution",
        "input": {"code": source},
    }


def official(name: str = "1", stdout: str = "1\n", **more: Any) -> dict[str, Any]:
    content = {
        "type": "code_execution_result",
        "stdout": stdout,
        "stderr": "",
        "return_code": 0,
        "content": [],
    }
    return {
        "type": "code_execution_tool_result",
        "tool_use_id": f"srvtoolu_{name}",
        "content": content | more,
    }


def inline(words: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "code_execution_result",
        "output": {"type": "text", "text": words},
        "is_error": False,
        **more,
    }


IMAGE = {
    "type": "code_execution_result",
    "output": {"type": "image", "media_type": "image/png", "data": "aaaa"},
    "is_error": False,
}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def result(use_id: str, *content: dict[str, Any], is_error: bool = False) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": use_id, "content": list(content)}
    return block | {"is_error": True} if is_error else block


def translated(*messages: dict[str, Any]) -> Conversation:
    return translate([Message.model_validate(message) for message in messages])


def sent(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    conversation = translated(*messages)
    assert not conversation.pending
    return with_results(conversation, [])


def test_the_official_pair() -> None:
    answer = assistant(thinking("hm"), text("See."), server_use(), official(), text("One."))
    assert sent(user(text("Go.")), answer, user(text("And?"))) == [
        user(text("Go.")),
        assistant(thinking("hm"), text("See."), code("print(1)", "toolu_1")),
        user(result("toolu_1", text("1\n"))),
        assistant(text("One.")),
        user(text("And?")),
    ]


def test_the_inline_blocks() -> None:
    answer = assistant(
        {**thinking("hm"), "text": "hm"},
        server_use(),
        inline("a", text="Result: a"),
        IMAGE,
        server_use("2"),
        inline("b"),
    )
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
    assert sent(user(text("Go.")), answer, user(text("And?"))) == [
        user(text("Go.")),
        assistant(thinking("hm"), code("print(1)", "toolu_1")),
        user(result("toolu_1", text("a"), image)),
        assistant(code("print(1)", "toolu_2")),
        user(result("toolu_2", text("b")), text("And?")),
    ]


def test_side_by_side() -> None:
    named = [inline("a", tool_use_id="srvtoolu_1"), IMAGE | {"tool_use_id": "srvtoolu_1"}]
    for results in (
        [*named, inline("b", tool_use_id="srvtoolu_2")],
        [inline("a"), IMAGE, inline("b")],
    ):
        out = sent(
            user(text("Go.")), assistant(server_use("1"), server_use("2"), *results), user(text("And?"))
        )
        first, second, _ = out[2]["content"]
        assert [block["type"] for block in first["content"]] == ["text", "image"]
        assert second == result("toolu_2", text("b"))


def test_failures_are_told() -> None:
    error = {"type": "code_execution_tool_result_error", "error_code": "unavailable"}
    broken = {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": error}
    (_, _, told, _) = sent(user(text("Go.")), assistant(server_use(), broken, text("No.")))
    assert told["content"] == [result("toolu_1", text("The tool failed: unavailable"), is_error=True)]
    raised = official(stderr="Traceback", return_code=1, stdout="")
    (_, _, told, _) = sent(user(text("Go.")), assistant(server_use(), raised, text("No.")))
    assert told["content"][0]["is_error"] is True
    assert "Traceback" in told["content"][0]["content"][0]["text"]


def test_results_that_only_other_servers_make() -> None:
    sealed = official("1") | {
        "content": {
            "type": "encrypted_code_execution_result",
            "encrypted_stdout": "aaaa",
            "stderr": "",
            "return_code": 0,
            "content": [],
        }
    }
    asked = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "find", "server_name": "s", "input": {}}
    answered = {
        "type": "mcp_tool_result",
        "tool_use_id": "mcptoolu_1",
        "is_error": True,
        "content": [{"type": "text", "text": "nothing there"}],
    }
    messages = sent(user(text("x")), assistant(server_use("1"), sealed, asked, answered), user(text("y")))
    (first,) = messages[2]["content"]
    assert "aaaa" not in str(first) and "no output" not in str(first)
    assert "can be read by the server alone" in str(first)
    assert messages[4]["content"][0] == result("mcptoolu_1", text("nothing there"), is_error=True)


def test_code_that_is_still_to_be_run() -> None:
    conversation = translated(
        user(text("Go.")), assistant(server_use("1"), official("1"), server_use("2", "two"))
    )
    (use,) = conversation.pending
    assert (use.upstream_id, use.client_id, use.input) == ("toolu_2", "srvtoolu_2", {"code": "two"})
    out = with_results(conversation, [result("toolu_2", text("2"))])
    assert [message["role"] for message in out] == ["user", "assistant", "user", "assistant", "user"]
    assert out[-1] == user(result("toolu_2", text("2")))


def test_code_beside_a_clients_tool() -> None:
    theirs = {"type": "tool_use", "id": "toolu_9", "name": "weather", "input": {}}
    answered = {"type": "tool_result", "tool_use_id": "toolu_9", "content": "sunny"}
    conversation = translated(
        user(text("Go.")), assistant(server_use(), theirs), user(answered, text("Well?"))
    )
    assert [use.upstream_id for use in conversation.pending] == ["toolu_1"]
    out = with_results(conversation, [result("toolu_1", text("1"))])
    assert out[-1] == user(result("toolu_1", text("1")), answered, text("Well?"))


def test_a_result_in_the_next_answer_goes_back_to_its_use() -> None:
    for blocks in ([official()], [inline("1\n")]):
        out = sent(
            user(text("Go.")), assistant(server_use()), assistant(*blocks, text("One.")), user(text("And?"))
        )
        assert out == [
            user(text("Go.")),
            assistant(code("print(1)", "toolu_1")),
            user(result("toolu_1", text("1\n"))),
            assistant(text("One.")),
            user(text("And?")),
        ]


def test_orphans_are_repaired() -> None:
    out = sent(user(text("Go.")), assistant(server_use(), text("Hm.")), user(text("And?")))
    assert out[2]["content"][0]["tool_use_id"] == "toolu_1"
    assert out[2]["content"][0]["is_error"] is True
    out = sent(user(text("Go.")), assistant(official("7"), text("Hm.")), user(text("And?")))
    assert [block["type"] for block in out[1]["content"]] == ["text", "text"]
    assert "1" in out[1]["content"][0]["text"]


def test_what_only_the_service_knows_is_stripped() -> None:
    upload = {"type": "container_upload", "file_id": "file_7"}
    their_use = {
        "type": "tool_use",
        "id": "toolu_9",
        "name": "weather",
        "input": {},
        "caller": {"type": "direct"},
    }
    answered = {"type": "tool_result", "tool_use_id": "toolu_9", "content": "sunny"}
    out = sent(user(upload, text("Go.")), assistant(their_use), user(answered))
    assert "file_7" in out[0]["content"][0]["text"]
    assert "caller" not in out[1]["content"][0]


def test_texts_that_are_empty_and_thoughts_without_signature_are_dropped() -> None:
    seed = {"type": "thinking", "text": "hm"}
    out = sent(user(text("Go.")), assistant(seed, text(""), text(" \n\n"), text("One.")), user(text("And?")))
    assert out[1] == assistant(text("One."))


def test_results_of_nothing_but_white_space() -> None:
    viewed = {
        "type": "text_editor_code_execution_tool_result",
        "tool_use_id": "srvtoolu_2",
        "content": {
            "type": "text_editor_code_execution_view_result",
            "file_type": "text",
            "content": "\n",
        },
    }
    edit = server_use("2") | {"name": "text_editor_code_execution", "input": {"command": "view"}}
    blocks = [server_use("1"), official("1", " \n"), edit, viewed, server_use("3"), inline("\n")]
    out = sent(user(text("Go.")), assistant(*blocks), user(text("And?")))
    told = [block["content"][0]["text"] for message in out[2::2] for block in message["content"][:1]]
    assert told == ["(no output)", "(empty)", "(no output)"]


def test_neighbours_of_one_role_are_merged() -> None:
    out = sent(user(text("a")), user(text("b")), assistant(text("c")), assistant(text("d")), user(text("e")))
    assert out == [user(text("a"), text("b")), assistant(text("c"), text("d")), user(text("e"))]
    assert sent({"role": "user", "content": "a"}) == [user(text("a"))]


def test_long_results_of_ours_are_cut() -> None:
    own = {"type": "tool_use", "id": "toolu_own", "name": "own", "input": {}}
    out = within(
        sent(
            user(text("Go.")),
            assistant(server_use(), official(stdout="x" * 10**6), text("Long."), own),
            user({"type": "tool_result", "tool_use_id": "toolu_own", "content": "y" * 10**6}),
        ),
        1000,
    )
    assert len(out[2]["content"][0]["content"][0]["text"]) < 4_200
    assert out[4]["content"][0]["content"] == "y" * 10**6


def test_a_cut_says_what_is_missing() -> None:
    assert cut("short", 100) == "short"
    lines = "".join(f"line {n}\n" for n in range(1000))
    shown = cut(lines, 100, "output-1.txt")
    assert shown.startswith("line 0\n") and shown.endswith("line 999\n")
    assert "[... 8,490 bytes in 952 lines left out; all of it is in output-1.txt ...]" in shown
    assert "\ufffd" not in cut("ü" * 1000, 101)


NAMES = ("1", "2", "3")
any_block = st.one_of(
    st.just(text("t")),
    st.just(text("")),
    st.just(thinking("h")),
    st.sampled_from(NAMES).map(server_use),
    st.sampled_from(NAMES).map(official),
    st.just(inline("i")),
    st.just(IMAGE),
    st.just({"type": "tool_use", "id": "toolu_c", "name": "weather", "input": {}}),
    st.just({"type": "container_upload", "file_id": "file_1"}),
    st.just({"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {}}),
)
user_block = st.sampled_from([text("u"), {"type": "tool_result", "tool_use_id": "toolu_c", "content": "c"}])
any_message = st.one_of(
    st.lists(any_block, max_size=7).map(lambda blocks: assistant(*blocks)),
    st.lists(user_block, max_size=3).map(lambda blocks: user(*blocks)),
)


@given(st.lists(any_message, min_size=1, max_size=6))
def test_whatever_comes_nothing_of_ours_goes_out(messages: list[dict[str, Any]]) -> None:
    conversation = translated(*messages)
    results = [result(use.upstream_id, text("r")) for use in conversation.pending]
    out = with_results(conversation, results)
    roles = [message["role"] for message in out]
    assert all(a != b for a, b in itertools.pairwise(roles))
    for number, message in enumerate(out):
        assert message["content"]
        uses = [b["id"] for b in message["content"] if b["type"] == "tool_use" and b["id"] != "toolu_c"]
        for block in message["content"]:
            assert block["type"] in {"text", "thinking", "tool_use", "tool_result"}
        if uses:
            assert message["role"] == "assistant"
            answers = [b["tool_use_id"] for b in out[number + 1]["content"] if b["type"] == "tool_result"]
            assert set(uses) <= set(answers)


def test_many_messages_of_one_role_become_one() -> None:
    def one(count: int) -> Conversation:
        return translate([Message(role="user", content="a") for _ in range(count)])

    assert one(3).messages == [user(text("a"), text("a"), text("a"))]
    assert is_linear(one)


def test_results_stand_first_in_what_becomes_one_message() -> None:
    answer = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    messages = [user(text("go")), {"role": "assistant", "content": [use]}, user(text("a")), user(answer)]
    found = translate([Message(**message) for message in messages])
    assert found.messages[-1] == user(answer, text("a"))
    before = [list(message["content"]) for message in found.messages]
    with_results(found, [text("b")])
    assert [message["content"] for message in found.messages] == before


def test_many_calls_by_code_in_the_history() -> None:
    def calls(count: int) -> Conversation:
        uses = [
            {
                "type": "tool_use",
                "id": f"toolu_{number}",
                "name": "f",
                "input": {},
                "caller": {"type": "code_execution_20250825", "tool_id": f"srvtoolu_{number // 2}"},
            }
            for number in range(count)
        ]
        return translate([Message(**user(text("go"))), Message(role="assistant", content=uses)])

    assert calls(3).asked == {"srvtoolu_0": ["toolu_0", "toolu_1"], "srvtoolu_1": ["toolu_2"]}
    assert is_linear(calls)


def test_a_result_of_the_callers_own_tool_that_has_the_name_of_ours() -> None:
    """It need not be a list, nor be there at all."""
    use = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "a", "name": "code_execution", "input": {}}],
    }
    answer: dict[str, Any] = {"type": "tool_result", "tool_use_id": "a"}
    for content in ({}, {"content": None}, {"content": "x"}, {"content": [{"type": "text"}]}):
        said = user(answer | content)
        assert within([use, said], 10) == [use, said]
    (_, found) = within([use, user(answer | {"content": "x" * 1000})], 10)
    assert len(found["content"][0]["content"]) < 1000


def test_a_result_whose_files_are_no_list() -> None:
    result = official(content=7)
    found = translate([Message(role="assistant", content=[server_use(), result])])
    assert found.messages[-1]["content"][0]["content"] == [text("1\n")]


def test_many_results_that_name_no_use() -> None:
    """Each looked at all uses, and everybody else on the server waited for seconds."""

    def among(count: int, *, are_adopted: bool = False) -> Conversation:
        uses = [server_use(str(number)) for number in range(count)]
        results = [inline("1")] * count
        said = [uses, results] if are_adopted else [uses + results]
        messages = [user(text("Go.")), *(assistant(*blocks) for blocks in said), user(text("And?"))]
        return translate([Message(**message) for message in messages])

    assert len(among(9).messages[2]["content"]) == 10
    assert is_linear(among)
    assert among(9, are_adopted=True) == among(9)
    assert is_linear(lambda count: among(count, are_adopted=True))
