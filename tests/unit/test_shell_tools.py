"""What `belljar doctor` says of the programs in the jail's shell, and what set-up installs."""

from __future__ import annotations

import re
from pathlib import Path

from belljar.client import shell_tools

MACHINE = Path(__file__).parents[2] / "scripts" / "machine.bash"


def test_set_up_installs_what_the_doctor_misses() -> None:
    listed = re.search(r"for tool in (.*); do", MACHINE.read_text())
    assert listed is not None
    assert dict(each.split(":") for each in listed[1].split()) == shell_tools.PACKAGES


def test_the_line_names_the_command_only_where_something_is_missing() -> None:
    assert shell_tools.described(set(shell_tools.PACKAGES)) == "sqlite3, bc, jq, rg, zip, unzip"
    assert shell_tools.described({"sqlite3", "bc", "jq", "zip"}) == (
        "sqlite3, bc, jq, zip; rg, unzip missing: sudo apt-get install -y ripgrep unzip"
    )
    assert shell_tools.described(()).startswith("none; sqlite3, ")
