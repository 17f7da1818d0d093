"""What set-up does about Debian packages, with an apt-get that writes down what it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from belljar.client import provision, shell_tools
from belljar.errors import InvalidRequest


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    asked = tmp_path / "asked"
    apt = tmp_path / "apt-get"
    apt.write_text(
        f'#!/bin/sh\necho "$@" >>{asked}\ntest ! -e {tmp_path}/broken || {{ echo "E: no network"; exit 100; }}\n'
    )
    apt.chmod(0o755)
    asked.touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return asked


def provide(
    monkeypatch: pytest.MonkeyPatch,
    needed: list[str],
    liked: list[str],
    *,
    may_install: bool = False,
    uid: int = 0,
) -> list[str]:
    monkeypatch.setattr(provision, "missing_packages", lambda: needed)
    monkeypatch.setattr(provision, "missing_programs", lambda: liked)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    said: list[str] = []

    async def main() -> None:
        await provision.provide_packages(said.append, may_install=may_install)

    anyio.run(main)
    return said


def test_nothing_is_installed_unasked(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InvalidRequest, match=r"lacks libseccomp2\..*\nsudo apt-get .* install .* libseccomp2 ripgrep$"
    ):
        provide(monkeypatch, ["libseccomp2"], ["rg"])
    [said] = provide(monkeypatch, [], ["rg", "bc"])
    assert said.endswith(" ripgrep bc")
    assert provide(monkeypatch, [], []) == []
    assert asked.read_text() == ""


def test_asked_for_it_is_installed(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provide(monkeypatch, ["libseccomp2"], ["rg"], may_install=True)
    assert asked.read_text() == "-qq update\n-qq install -y --no-install-recommends libseccomp2 ripgrep\n"


def test_only_root_installs(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="only root installs packages"):
        provide(monkeypatch, [], ["rg"], may_install=True, uid=1000)
    assert asked.read_text() == ""


def test_what_fails_is_told_and_only_what_is_needed_ends_it(
    asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.with_name("broken").touch()
    with pytest.raises(InvalidRequest, match=r"apt-get update failed and says:\nE: no network"):
        provide(monkeypatch, ["libseccomp2"], [], may_install=True)
    said = provide(monkeypatch, [], ["rg"], may_install=True)
    assert "go without rg: apt-get update failed" in said[-1]


def test_without_apt_the_names_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidRequest, match="what Debian calls libseccomp2"):
        provide(monkeypatch, ["libseccomp2"], ["rg"], may_install=True)


def test_programs_are_those_of_the_jail() -> None:
    for program in provision.missing_programs():
        assert program in shell_tools.PACKAGES
        assert not Path("/usr/bin", program).exists()


def test_locks_are_the_projects_own() -> None:
    locks = Path(__file__).parents[2] / "locks"
    for name in ("runtime-data.txt", "uv.txt"):
        assert (provision.LOCKS / name).read_bytes() == (locks / name).read_bytes()
