"""What exists is in the reference: nobody has to read the code to find a setting, a command or an endpoint."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import httpx2
import pytest
from pages import ROOT, blocks

from belljar.gateway.profiles import Profile
from belljar.gateway.routes import routes
from belljar.gateway.upstream import table
from belljar.records import Status
from belljar.wire.execution import Execution, ExecutionRequest, LimitsRequest

PAGE = ROOT / "docs" / "reference.md"
REFERENCE = PAGE.read_text()


def test_what_is_made_from_the_code_is_as_the_code_is() -> None:
    made = [sys.executable, ROOT / "scripts" / "make-reference", "--check"]
    done = subprocess.run(made, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_each_endpoint_is_one_of_the_description() -> None:
    for route in routes():
        for method in route.methods - {"HEAD"}:
            assert f"| `{method} {route.path_format}` |" in REFERENCE


def test_the_server_tells_the_metrics_that_stand_there(url: str) -> None:
    told = httpx2.get(f"{url}/metrics", timeout=30).text
    names = {line.split()[2] for line in told.splitlines() if line.startswith("# TYPE ")}
    assert len(names) > 30
    assert all(f"| `{name}` |" in REFERENCE for name in names), names


def test_the_table_of_models_can_be_read(tmp_path: Path) -> None:
    (written,) = (block.text for block in blocks(PAGE) if block.language == "toml")
    (tmp_path / "models.toml").write_text(written)
    assert [model.id for model in table.load(tmp_path / "models.toml").model] == ["claude-*", "fast", "small"]


def test_the_execution_can_be_asked_for(url: str) -> None:
    (asked,) = (block.text for block in blocks(PAGE) if block.language == "json")
    answer = httpx2.post(f"{url}/v1/executions", content=asked, timeout=60).json()
    assert (answer["outcome"]["status"], answer["stdout"]) == ("completed", "42\n")


@pytest.mark.parametrize("status", get_args(Status))
def test_every_outcome_is_described(status: str) -> None:
    assert f"| `{status}` |" in REFERENCE


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_profile_is_described(profile: str) -> None:
    assert f"- `{profile}`:" in REFERENCE


@pytest.mark.parametrize(
    "field", [*ExecutionRequest.model_fields, *Execution.model_fields, *LimitsRequest.model_fields]
)
def test_every_field_of_an_execution_is_described(field: str) -> None:
    assert f"`{field}`" in REFERENCE or f'"{field}"' in REFERENCE


def test_links_lead_somewhere() -> None:
    for page in [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").glob("*.md"),
        ROOT / "examples" / "README.md",
    ]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
