"""A server with API keys, one without a model, and one without the page."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from browsing import Open, ask, axe, run
from serving import serving

SCRIPT = """
[[conversation]]
[[conversation.turn]]
code = "print(6 * 7)"
[[conversation.turn]]
text = "It is {{ stdout }}."
"""


def made_key(state: Path, name: str) -> str:
    command = [sys.executable, "-c", "from belljar.cli import main; main()", "keys", "create", name]
    made = subprocess.run([*command, "--state-dir", str(state)], capture_output=True, text=True, check=True)
    return next(word for word in made.stdout.split() if word.startswith("bj_"))


def until_asked_for_keys(url: str) -> None:
    """A server looks twice a second for keys that were made."""
    for _ in range(100):
        if httpx2.get(f"{url}/v1/models", timeout=30).status_code == 401:
            return
        time.sleep(0.1)
    raise AssertionError("the server does not know that there are keys")


def test_a_key_is_asked_for_kept_in_this_tab_and_forgotten(open_page: Open, tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text(SCRIPT)
    state = tmp_path / "state"
    with serving(state, upstream=f"scripted:{script}", preload={"bare": []}) as server:
        key = made_key(state, "one")
        until_asked_for_keys(server.url)
        page = open_page(at=server.url, expected=("401",))
        dialog = page.get_by_role("dialog", name="An API key, please")
        dialog.wait_for()
        assert "This server asks for an API key" in dialog.inner_text()
        axe(page)
        dialog.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        dialog.get_by_text("not known to this server").wait_for()
        dialog.get_by_label("API key").fill(key)
        dialog.get_by_role("button", name="Use it").click()
        dialog.wait_for(state="hidden")
        assert ask(page, "calculate").locator(".words").inner_text() == "It is 42."
        page.keyboard.press("Alt+5")
        page.locator(".panel .code", has_text="BELLJAR_API_KEY").wait_for()
        assert key not in page.content()
        assert key not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
        assert key in page.evaluate("JSON.stringify(sessionStorage)")
        page.get_by_role("button", name="Forget the API key").click()
        page.wait_for_function("key => !JSON.stringify(sessionStorage).includes(key)", arg=key)
        page.fill("#message", "again")
        page.press("#message", "Enter")
        dialog.wait_for()


def test_without_a_model_it_says_how_to_connect_one_and_code_runs(open_page: Open, tmp_path: Path) -> None:
    with serving(tmp_path, preload={"bare": []}) as server:
        page = open_page(at=server.url)
        page.get_by_role("heading", name="No model is connected").wait_for()
        assert "belljar serve --upstream" in page.locator(".welcome").inner_text()
        axe(page)
        done = ask(page, "```python\nprint(2 ** 10)\n```")
        assert "1024" in done.locator(".jar .printed").inner_text()
        # What it has printed keeps its lines where it stands as the answer's words, too.
        done = ask(page, "```python\nprint('a   *b*\\n1   *2*')\n```")
        assert done.locator(".printed").all_inner_texts()[-1] == "a   *b*\n1   *2*"
        assert done.locator(".words").count() == 0
        page.get_by_role("button", name="Code", exact=True).click()
        assert run(page, "1 + 1").locator(".printed").inner_text().strip() == "2"


def test_the_page_can_be_switched_off(tmp_path: Path) -> None:
    with (
        serving(tmp_path, preload={"bare": []}, page="false") as server,
        httpx2.Client(base_url=server.url) as http,
    ):
        assert http.get("/").status_code == 404
        assert http.get("/").json()["error"]["type"] == "not_found_error"
        assert http.get("/health").status_code == 200


def test_a_page_that_was_not_built_says_so_in_one_sentence(tmp_path: Path) -> None:
    from belljar.gateway.page import answer, load

    assert load(tmp_path) == {}
    told = answer(load(tmp_path), None, {})
    assert told.status_code == 503
    assert told.media_type == "text/html"
    assert b"make page" in told.body
    with pytest.raises(Exception, match="404"):
        answer(load(tmp_path), "assets/x.js", {})
