"""The profile that compose.yaml gives Docker: what the jail needs is in it, and what Docker refuses is not."""

from __future__ import annotations

import json
import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from belljar.keeper import syscalls

ROOT = Path(__file__).resolve().parents[2]
PROFILE = json.loads((ROOT / "packaging" / "seccomp.json").read_text())
ALLOWED = {name for rule in PROFILE["syscalls"] for name in rule["names"]}

_loader = SourceFileLoader("make_seccomp_profile", str(ROOT / "scripts" / "make-seccomp-profile"))
_spec = spec_from_loader(_loader.name, _loader)
assert _spec is not None
LISTS = module_from_spec(_spec)
_loader.exec_module(LISTS)


def test_it_is_a_list_of_what_may_be_called() -> None:
    assert PROFILE["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {rule["action"] for rule in PROFILE["syscalls"]} == {"SCMP_ACT_ALLOW"}


def test_what_guests_may_call_and_the_jail_calls_is_in_it() -> None:
    guests = {*syscalls.names(syscalls.SEEN), *syscalls.names(syscalls.UNSEEN), *syscalls.BY_ARGUMENT}
    assert guests <= ALLOWED
    assert set(LISTS.NEEDED) <= ALLOWED
    assert "clone" in ALLOWED


def test_nothing_else_that_docker_refuses_is() -> None:
    assert not ALLOWED & set(LISTS.DENIED)
    assert not set(LISTS.NEEDED) & set(LISTS.DENIED)
    [plain] = [rule["names"] for rule in PROFILE["syscalls"] if "args" not in rule and "comment" not in rule]
    assert not set(LISTS.NEEDED) & set(plain)
    for name, conditions in {"personality": 5, "socket": 1}.items():
        rules = [rule for rule in PROFILE["syscalls"] if name in rule["names"]]
        assert len(rules) == conditions
        assert all(rule["args"] for rule in rules)


def test_the_script_makes_it() -> None:
    made = LISTS.profile()
    # A libseccomp that is newer or older knows some calls more or less; nothing else may differ.
    assert {**made, "syscalls": made["syscalls"][1:]} == {**PROFILE, "syscalls": PROFILE["syscalls"][1:]}


def test_compose_uses_it_and_counts_what_it_adds() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    assert "seccomp=packaging/seccomp.json" in compose
    words = {"nine": 9, "ten": 10, "eleven": 11}
    [counted] = re.findall(r"This one allows (\w+) calls more", compose)
    assert words[counted] == len(LISTS.NEEDED)
    assert "privileged" not in re.sub(r"no-new-privileges", "", compose)
