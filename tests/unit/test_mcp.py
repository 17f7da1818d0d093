"""The pure parts of the tools for MCP: arguments, URIs, the last line that was printed."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.server.lowlevel.server import Server

from belljar import results
from belljar.errors import InvalidRequest
from belljar.mcp import asked, files, tools
from belljar.mcp.watching import Watch

FEW = settings(max_examples=100, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


FILE = st.fixed_dictionaries(
    {"path": st.text(max_size=3)},
    optional={"text": st.text(max_size=3), "base64": st.none(), "more": st.none()},
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 4000),
    st.floats(-1, 4000),
    st.text(max_size=5),
    st.lists(FILE, max_size=2),
)


@pytest.mark.parametrize("has_containers", [False, True])
@pytest.mark.parametrize("kind", tools.KINDS, ids=lambda kind: kind.name)
def test_the_schema_says_what_is_taken(kind: tools.Kind, has_containers: bool) -> None:
    schema = asked.schema_of(kind.takes, mode="validation", has_containers=has_containers)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "$ref" not in str(schema)
    assert ("container" in schema["properties"]) == has_containers

    names = st.sampled_from([*schema["properties"], "other"])

    @FEW
    @given(st.dictionaries(names, VALUES, max_size=5))
    def is_taken(arguments: dict[str, Any]) -> None:
        arguments = dict.fromkeys(schema.get("required", []), "1") | arguments
        if jsonschema.Draft202012Validator(schema).is_valid(arguments):
            read = asked.read(kind.takes, arguments, has_containers=has_containers)
            assert read.model_fields_set == set(arguments)
        else:
            with pytest.raises(InvalidRequest):
                asked.read(kind.takes, arguments, has_containers=has_containers)

    is_taken()


@FEW
@given(st.none() | st.just("container_1aB"), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_uri_leads_back_to_its_path(container: str | None, path: str) -> None:
    uri = files.uri_of(container, path)
    assert uri.isascii()
    assert files.place_of(uri) == (container, path)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "belljar://",
        "belljar://files",
        "belljar://files/",
        "belljar://containers/c/files/",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest):
        files.place_of(uri)


@pytest.mark.parametrize(
    ("pieces", "line"),
    [
        ([], ""),
        (["one\n"], "one"),
        (["one\ntwo\n\n"], "two"),
        (["one\ntw", "o"], "two"),
        (["one\ntw", "o\n"], "two"),
        (["10%\r", "20%\r", "30%"], "30%"),
        (["10%\r20%\r"], "20%"),
        (["a" * 1000], "a" * 200),
        (["a" * 150, "b" * 150, "\n"], "a" * 150 + "b" * 50),
    ],
)
def test_the_last_line(pieces: list[str], line: str) -> None:
    watch = Watch()
    for piece in pieces:
        watch.on_event(results.Stream("stdout", piece))
    assert watch.line == line


def test_the_sdk_has_what_is_asked_of_it() -> None:
    """What of it is not its public interface: it has no other way to a connection's own state."""
    from mcp.server.connection import Connection
    from mcp.server.session import ServerSession

    assert "_connection" in ServerSession.__init__.__code__.co_names
    connection = Connection.from_envelope("2026-07-28", None, None)
    assert (connection.session_id, connection.state) == (None, {})
    assert hasattr(connection.exit_stack, "push_async_callback")
    assert hasattr(Server, "create_initialization_options")
