from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from belljar.records import MIB, Limits
from belljar.settings import Settings, unknown
from belljar.wire.execution import LimitsRequest


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BELLJAR_{name.upper()}", raising=False)


def test_the_limits_without_any_setting() -> None:
    settings = Settings()
    assert settings.timeout_seconds == 30
    assert settings.limits() == Limits(
        memory_bytes=1024 * MIB, pids=128, disk_bytes=512 * MIB, output_bytes=MIB, cpus=1
    )
    assert settings.limits() == Limits()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLJAR_PORT", "9")
    monkeypatch.setenv("BELLJAR_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("BELLJAR_PRELOAD", '{"bare": ["json"]}')
    monkeypatch.setenv("BELLJAR_MEMORY_BYTES", str(80 * MIB))
    settings = Settings()
    assert (settings.port, settings.state_dir, settings.preload) == (9, tmp_path, {"bare": ("json",)})
    assert settings.limits().memory_bytes == 80 * MIB


def test_what_is_asked_for_overrides_the_defaults() -> None:
    settings = Settings(pids=20)
    assert settings.limits(LimitsRequest(cpus=2)) == Limits(pids=20, cpus=2)
    assert settings.limits(LimitsRequest(pids=30)).pids == 30
    assert settings.limits(LimitsRequest()) == settings.limits()


@pytest.mark.parametrize("field", list(LimitsRequest.model_fields))
@pytest.mark.parametrize("value", [0, -1, 10**18])
def test_limits_out_of_range_are_refused(field: str, value: int) -> None:
    with pytest.raises(ValidationError, match=field):
        LimitsRequest(**{field: value})
    with pytest.raises(ValidationError, match=field):
        Settings(**{field: value})


def test_a_limit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="memory_mib"):
        LimitsRequest.model_validate({"memory_mib": 5})


@pytest.mark.parametrize("field", ["memory_bytes", "cpus"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", [1]])
def test_limits_that_are_no_sizes_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        LimitsRequest.model_validate({field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("timeout_seconds", 0),
        ("timeout_seconds", 3601),
        ("timeout_seconds", float("nan")),
        ("grace_seconds", 0),
        ("memory_bytes", 64 * MIB - 1),
        ("pids", 7),
        ("disk_bytes", MIB - 1),
        ("output_bytes", 1023),
        ("cpus", 0),
        ("parked", -1),
        ("max_sessions", 0),
        ("uid_base", 0),
        ("uid_base", 1000),
        ("require", "none"),
        ("profile", "openai"),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Settings(**{field: value})  # type: ignore[arg-type]


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings(upstream_api_key="secret"))


def test_a_name_that_is_no_setting_is_told_with_the_one_that_was_meant() -> None:
    known = ["BELLJAR_PORT", "belljar_port", "BELLJAR_URL", "BELLJAR_API_KEY", "_BELLJAR_COMPLETE", "PATH"]
    assert unknown(known) == []
    near, short, far = unknown(["BELLJAR_XYZZY", "BELLJAR_MEMORY_BYTE", "BELLJAR_TIMEOUT"])
    assert near == "BELLJAR_MEMORY_BYTE is no setting, and has no effect: is BELLJAR_MEMORY_BYTES meant?"
    assert short.endswith("is BELLJAR_TIMEOUT_SECONDS meant?")
    assert far.startswith("BELLJAR_XYZZY is no setting, and has no effect: docs/reference.md has")
