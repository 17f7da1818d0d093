"""The snippets that the page shows are run, and do what the page did."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browsing import Open, ask, choose, run
from serving import Model, code, text

PROMPT = 'Read "it", please:\n$HOME `date` \\n \'\'\' """ ÄÖ 🫙 "FILE_1"\nJSON\nend'
EXAMPLES = Path(__file__).parents[2] / "examples"


def shown(page: Any, language: str) -> str:
    page.keyboard.press("Alt+5")
    page.get_by_role("button", name=language, exact=True).click()
    return str(page.locator(".panel .code").text_content())


def done(command: list[str], folder: Path) -> str:
    """What a program prints that ends well."""
    names = {
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
    }
    environment = {name: value for name, value in os.environ.items() if name not in names}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def run_snippet(language: str, source: str, folder: Path) -> str:
    if language == "Python":
        return done([sys.executable, "-c", source], folder)
    if language == "curl":
        return done(["bash", "-euo", "pipefail", "-c", source], folder)
    script = folder / "snippet.mjs"
    script.write_text(source)
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(EXAMPLES / "node_modules")
    return done(["node", str(script)], folder)


def words_of(messages: list[dict[str, Any]]) -> list[str]:
    """The texts in messages, but for what a file is told to be."""
    found = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found += [
            block["text"] for block in blocks if block["type"] == "text" and ".csv" not in block["text"]
        ]
    return found


def needs(language: str) -> None:
    if language == "curl" and not shutil.which("curl"):
        pytest.skip("curl is not installed: apt-get install curl")
    if language == "JavaScript" and not (shutil.which("node") and (EXAMPLES / "node_modules").is_dir()):
        pytest.skip("the examples' SDK is not installed: npm ci --prefix examples")


@pytest.mark.parametrize("language", ["Python", "JavaScript", "curl"])
def test_a_message_with_a_file_is_repeated(
    open_page: Open, model: Model, tmp_path: Path, language: str
) -> None:
    needs(language)
    page = open_page()
    name = 'it\'s "a" file – ملف.csv' if language != "curl" else "it's a file – ملف.csv"
    data = tmp_path / name.replace('"', "_")
    data.write_text("a,b\n1,2\n")
    choose(page, page.locator(".composer").get_by_role("button", name="Attach files"), data)
    page.locator(".chip.kept").wait_for()
    model.play([code("kept = 'kept here'")], [text("Kept.")])
    ask(page, PROMPT)
    # The second message names the container of the first, and sends the whole conversation.
    turns = (
        [code("import glob; print(kept, open(glob.glob('*.csv')[0]).read())", "toolu_01b")],
        [text("Read: 'it' $HOME `x` \\ é")],
    )
    model.play(*turns)
    ask(page, PROMPT)
    source = shown(page, language)
    first = model.requests[0]["messages"]
    model.play(*turns)
    printed = run_snippet(language, source, tmp_path)
    assert "kept here a,b" in printed
    assert "Read: 'it' $HOME `x`" in printed
    again = model.requests[0]["messages"]
    assert [message["role"] for message in again] == [message["role"] for message in first]
    assert words_of(again) == words_of(first)
    assert words_of(again).count(PROMPT) == 2


@pytest.mark.parametrize("language", ["Python", "JavaScript", "curl"])
def test_a_run_is_repeated(open_page: Open, tmp_path: Path, language: str) -> None:
    needs(language)
    page = open_page("/#code")
    run(page, "kept = 'kept'")
    run(page, "print(kept, '\\\\', \"'''\", '$HOME `x`', '🫙', end='|')\n'value'")
    printed = run_snippet(language, shown(page, language), tmp_path)
    assert "kept" in printed
    assert "🫙" in printed
    assert "value" in printed


def test_a_snippet_is_copied(open_page: Open) -> None:
    page = open_page("/#code", permissions=["clipboard-read", "clipboard-write"])
    run(page, "1 + 1")
    source = shown(page, "Python")
    page.get_by_role("button", name="Copy snippet").click()
    page.get_by_role("button", name="Copied snippet").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == source
