"""What the tools take: the models that hold a call's arguments, and the schemas that clients are shown of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from belljar.errors import InvalidRequest
from belljar.inputs import checked_path, decoded

_OF_CONTAINERS = ("container", "runtime")

Path = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4096,
        description="Path in the working directory, with `/`: `data/sales.csv`.",
    ),
]
Text = Annotated[str | None, Field(description="Its content as text, written as UTF-8.")]
Base64 = Annotated[str | None, Field(description="Its content as base64, in place of `text`.")]
Seconds = Annotated[
    float | None,
    Field(gt=0, le=3600, description="Until the run is stopped; else as the description says."),
]
Container = Annotated[
    str | None,
    Field(
        description="The `container` of an earlier answer, to go on with its variables and files. Without it: this "
        "connection's own, or a new one where the connection has none."
    ),
]
Runtime = Annotated[
    str | None,
    Field(description="The Python environment of a new session, by name; else the usual one. Rarely needed."),
]


class Asked(BaseModel):
    """What all tools take."""

    model_config = ConfigDict(extra="forbid", strict=True)

    container: Container = None


class Given(BaseModel):
    """A file with its content."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path: Path
    text: Text = None
    base64: Base64 = None

    def body(self, place: str = "") -> bytes:
        """Its bytes. Raises InvalidRequest, naming `place`, which ends in a dot."""
        checked_path(self.path, f"{place}path")
        if (self.text is None) == (self.base64 is None):
            raise InvalidRequest(f"{place}text: give either `text` or `base64`")
        if self.base64 is not None:
            return decoded(self.base64, f"{place}base64")
        return encoded(self.text or "", f"{place}text")


class _Run(Asked):
    timeout_seconds: Seconds = None
    runtime: Runtime = None


class RunPython(_Run):
    code: Annotated[str, Field(description="Python source. The last expression's value comes back.")]
    files: Annotated[
        list[Given],
        Field(max_length=100, description="Files to put into the working directory before the code runs."),
    ] = []


class RunShell(_Run):
    command: Annotated[str, Field(min_length=1, description="A command for bash, of one line or many.")]


class PutFile(Asked):
    path: Path
    text: Text = None
    base64: Base64 = None
    runtime: Runtime = None

    @property
    def given(self) -> Given:
        return Given(path=self.path, text=self.text, base64=self.base64)


class GetFile(Asked):
    path: Path


class ListFiles(Asked):
    pass


class Reset(Asked):
    pass


Mode = Literal["validation", "serialization"]


def schema_of(model: type[BaseModel], *, mode: Mode, has_containers: bool) -> dict[str, Any]:
    """The JSON Schema of a model, all in one piece: some clients follow no references."""
    made = model.model_json_schema(mode=mode)
    definitions = made.pop("$defs", {})
    schema: dict[str, Any] = _plain(made, definitions)
    if not has_containers:
        for name in _OF_CONTAINERS:
            schema["properties"].pop(name, None)
        if needed := [name for name in schema.pop("required", []) if name not in _OF_CONTAINERS]:
            schema["required"] = needed  # an empty list is none to older drafts of JSON Schema
    return schema


def _plain(schema: Any, definitions: dict[str, Any], *, has_names: bool = False) -> Any:
    """`schema` without references, and without titles that only repeat names. `has_names`: its keys are a caller's."""
    if isinstance(schema, list):
        return [_plain(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]] | {
            key: value for key, value in schema.items() if key != "$ref"
        }
    return {
        key: _plain(value, definitions, has_names=key == "properties" and not has_names)
        for key, value in schema.items()
        if has_names or key != "title"
    }


def read(model: type[Asked], arguments: dict[str, Any], *, has_containers: bool) -> Asked:
    """The arguments of a call. Raises InvalidRequest that names the first one that is wrong."""
    known = [name for name in model.model_fields if has_containers or name not in _OF_CONTAINERS]
    for name in arguments:
        if name not in known:
            raise InvalidRequest(f"{name}: there is no such argument; there are {', '.join(known)}")
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise InvalidRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def encoded(text: str, place: str) -> bytes:
    """The bytes of a text that a client has sent. Raises InvalidRequest, naming `place`, for half a character."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{place}: not valid Unicode: {error}") from error
