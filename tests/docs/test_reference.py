"""What exists is in the reference: nobody has to read the code to find a setting, a command or an endpoint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from belljar import errors
from belljar.gateway.profiles import Profile
from belljar.gateway.routes import routes
from belljar.settings import Settings
from belljar.wire.execution import Execution, ExecutionRequest, Limits, Status

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    assert f"| `BELLJAR_{name.upper()}` |" in REFERENCE


@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if type(field.default) is int]
)
def test_the_defaults_are_those_of_the_code(name: str) -> None:
    row = next(line for line in REFERENCE.splitlines() if line.startswith(f"| `BELLJAR_{name.upper()}` |"))
    assert row.split("|")[2].strip() == f"`{Settings.model_fields[name].default}`"


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.path)
def test_every_endpoint_is_described(route) -> None:  # type: ignore[no-untyped-def]
    for method in route.methods - {"HEAD"}:
        assert f"`{method} {route.path_format}`" in REFERENCE


@pytest.mark.parametrize("status", get_args(Status))
def test_every_outcome_is_described(status: str) -> None:
    assert f"| `{status}` |" in REFERENCE


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_profile_is_described(profile: str) -> None:
    assert f"- `{profile}`:" in REFERENCE


@pytest.mark.parametrize(
    "field", [*ExecutionRequest.model_fields, *Execution.model_fields, *Limits.model_fields]
)
def test_every_field_of_an_execution_is_described(field: str) -> None:
    assert f"`{field}`" in REFERENCE or f'"{field}"' in REFERENCE


def test_every_error_is_described() -> None:
    kinds = {
        (error.status, error.kind)
        for error in vars(errors).values()
        if isinstance(error, type)
        and issubclass(error, errors.BelljarError)
        and error is not errors.BelljarError
    }
    for status, kind in kinds - {(500, "api_error")}:
        rows = [
            line
            for line in REFERENCE.splitlines()
            if line.startswith("| ") and str(status) in line.split("|")[1]
        ]
        assert any(f"`{kind}`" in row for row in rows), (status, kind)


def test_links_lead_somewhere() -> None:
    for page in [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").glob("*.md"),
        ROOT / "examples" / "README.md",
    ]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
