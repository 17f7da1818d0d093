"""What `belljar doctor` says of the programs in the jail's shell, and what set-up installs."""

from __future__ import annotations

from belljar.client import shell_tools


def test_the_line_names_the_command_only_where_something_is_missing() -> None:
    assert shell_tools.described(set(shell_tools.PACKAGES)) == "sqlite3, bc, jq, rg, zip, unzip"
    assert shell_tools.described({"sqlite3", "bc", "jq", "zip"}) == (
        "sqlite3, bc, jq, zip; rg, unzip missing: sudo apt-get install -y ripgrep unzip"
    )
    assert shell_tools.described(()).startswith("none; sqlite3, ")
