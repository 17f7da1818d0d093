"""The page for everybody: axe in every state, the keyboard alone, a phone's width, less motion."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import Open, ask, axe, run
from serving import Model, Refusal, Server, code, text

CHART = """
import matplotlib.pyplot as plt
import pandas as pd
table = pd.DataFrame({"month": ["Jan", "Feb"], "sold": [120, 180]})
plt.bar(table["month"], table["sold"]); plt.title("Sold")
table.to_csv("sold.csv")
table
"""
LOOKS = [(False, 1280), (True, 1280), (False, 320), (True, 320)]
NAMES = ["light", "dark", "light phone", "dark phone"]


def fits(page: Any) -> None:
    """Nothing stands out at the side."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("dark", "width"), LOOKS, ids=NAMES)
def test_axe_finds_nothing(open_page: Open, model: Model, dark: bool, width: int) -> None:
    page = open_page(dark=dark, width=width, height=720, expected=("400",))
    page.wait_for_selector(".welcome h2")
    axe(page)
    fits(page)
    model.play(
        [text("## First\n\n- a list\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`code`"), code(CHART)],
        [code("1 / 0")],
        [text("Done, see [a page](https://example.org).")],
    )
    done = ask(page, "Draw it")
    for summary in done.locator("summary").all():
        summary.click()
    done.locator(".json-toggle").nth(1).click()
    axe(page)
    fits(page)
    model.play(Refusal(400, b'{"type":"error","error":{"type":"x","message":"No."}}'))
    ask(page, "fail")
    axe(page)
    page.keyboard.press("Alt+2")
    run(page, CHART)
    run(page, "import time\nprint('a')\nraise KeyError('b')", "Raised an exception")
    run(page, "x = 'y' * 40_000\nprint(x)")
    axe(page)
    fits(page)
    for digit in "3456":
        page.keyboard.press(f"Alt+{digit}")
        page.locator("#tabpanel > *").first.wait_for()
        if digit == "4":
            page.locator(".step").first.wait_for()
        axe(page)
        fits(page)
    page.keyboard.press("Alt+3")
    page.get_by_role("button", name="New container…").click()
    axe(page)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    axe(page)


def test_the_keyboard_is_enough(open_page: Open, model: Model) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert "message" in seen
    page.focus("#message")
    page.keyboard.type("hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("there")
    model.play([text("Hello.")])
    page.keyboard.press("Enter")
    page.locator(".words", has_text="Hello.").wait_for()
    assert page.locator(".question p").inner_text() == "hello\nthere"
    # The editor takes Tab for itself, and lets go of it after Escape.
    page.keyboard.press("Alt+2")
    page.locator(".cm-content").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "editor"
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") != "editor"
    # Tabs go by arrows, and dialogs close by Escape.
    page.locator("[role=tab][aria-selected=true]").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "Timeline"
    assert page.locator("[role=tab][aria-selected=true]").inner_text() == "Timeline"
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")


def test_on_a_phone_the_details_cover_the_work_and_go_again(open_page: Open) -> None:
    page = open_page(width=320, height=640)
    assert page.locator(".panel").count() == 0
    page.get_by_role("button", name="Show the details").click()
    page.wait_for_function("document.activeElement.getAttribute('role') === 'tab'")
    assert page.evaluate("document.getElementById('main').inert") is True
    page.keyboard.press("Escape")
    page.locator(".panel").wait_for(state="detached")
    assert page.evaluate("document.getElementById('main').inert") is False


def test_colours_follow_the_system_or_the_switch(open_page: Open) -> None:
    page = open_page(dark=True)

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    dark = paper()
    switch = page.get_by_role("button", name="Colours:")
    switch.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert paper() != dark
    page.reload()
    page.wait_for_selector("header.head")
    assert paper() != dark
    switch.click()
    assert paper() == dark
    switch.click()
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_screen_readers_hear_what_happens(open_page: Open, model: Model) -> None:
    page = open_page("/#code")
    run(page, "1")
    said = page.locator("[role=status]")
    assert said.inner_text().startswith("Completed after")
    page.keyboard.press("Alt+1")
    model.play([text("Yes.")])
    ask(page, "?")
    assert said.inner_text() == "The answer is complete"


WIDE = """
import numpy as np, pandas as pd
from IPython.display import Markdown, display
table = pd.DataFrame(np.arange(2000).reshape(2, 1000))
display(Markdown("|" + " column |" * 60 + "\\n|" + "-|" * 60 + "\\n|" + " value |" * 60))
table
"""


@pytest.mark.parametrize("width", [1280, 360], ids=["wide", "phone"])
def test_a_table_of_a_thousand_columns_scrolls_in_its_own_frame(
    open_page: Open, model: Model, width: int
) -> None:
    page = open_page(width=width)
    model.play([code(WIDE)], [text("|" + " word |" * 60 + "\n|" + "-|" * 60 + "\n|" + " word |" * 60)])
    ask(page, "show it")
    fits(page)
    page.keyboard.press("Alt+2")
    done = run(page, WIDE)
    fits(page)
    frame = done.locator(".table").last
    assert frame.evaluate("(it) => it.scrollWidth > it.clientWidth")


def test_on_paper_all_is_there(open_page: Open, model: Model) -> None:
    page = open_page(dark=True)
    many = "\n".join(f"line {n}" for n in range(200))
    model.play([code(f"print({many!r})")], [text("The end.")])
    done = ask(page, "print it")
    page.emulate_media(media="print")
    printed = done.locator(".printed")
    assert printed.evaluate("(it) => it.scrollHeight <= it.clientHeight + 1")
    for part in (".composer", ".panel", ".json-toggle", ".after", ".head .button"):
        assert not page.locator(part).first.is_visible(), part
    assert page.evaluate("getComputedStyle(document.querySelector('.head')).position") == "static"
    # Ink on paper, whatever the screen looks like.
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


def test_a_page_that_may_keep_nothing_works(open_page: Open) -> None:
    """As where somebody has forbidden sites to keep data: the browser throws whenever storage is named."""
    page = open_page()
    page.context.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError') } })"
    )
    page.reload()
    page.get_by_role("button", name="Colours:").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.keyboard.press("Alt+2")
    assert run(page, "6 * 7").locator(".printed").inner_text().strip() == "42"


def test_focus_goes_back_to_what_has_opened_the_details(open_page: Open) -> None:
    page = open_page(width=360)
    for close in ("Escape", "button"):
        page.get_by_role("button", name="Show the details").click()
        page.wait_for_function("document.activeElement.getAttribute('role') === 'tab'")
        if close == "Escape":
            page.keyboard.press("Escape")
        else:
            page.get_by_role("button", name="Close the details").click()
        page.locator(".panel").wait_for(state="detached")
        page.wait_for_function("() => document.activeElement.ariaLabel === 'Show the details'")


def test_where_one_types_by_touch_enter_begins_a_line(open_page: Open, model: Model) -> None:
    page = open_page(width=360, has_touch=True, is_mobile=True)
    page.tap("#message")
    page.keyboard.type("one")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    model.play([text("Read.")])
    page.get_by_role("button", name="Send").tap()
    page.locator(".words", has_text="Read.").wait_for()
    assert page.locator(".question p").all_inner_texts() == ["one\ntwo"]


def test_focus_goes_to_the_message_when_what_was_pressed_is_gone(open_page: Open, model: Model) -> None:
    page = open_page()
    model.play([text("One.")], [text("Two.")])
    ask(page, "hello")
    page.get_by_role("button", name="Ask again").focus()
    page.keyboard.press("Enter")
    page.locator(".words", has_text="Two.").wait_for()
    assert page.evaluate("document.activeElement.id") == "message"
    page.get_by_role("button", name="New conversation").focus()
    page.keyboard.press("Enter")
    page.locator(".welcome").wait_for()
    assert page.evaluate("document.activeElement.id") == "message"
    page.keyboard.press("Alt+2")
    page.locator(".code-view").wait_for()
    assert page.evaluate("document.activeElement.id") == "main"


def test_an_address_leads_to_the_code_also_from_the_page_itself(open_page: Open) -> None:
    page = open_page()
    page.evaluate("location.hash = '#code'")
    page.get_by_role("heading", name="Code", exact=True).wait_for(state="attached")


def test_colours_that_nobody_knows_are_those_of_the_system(open_page: Open) -> None:
    page = open_page()
    page.evaluate("localStorage.setItem('belljar-theme', 'pink')")
    page.reload()
    page.get_by_role("button", name="Colours: As the system").wait_for()


def test_a_proxy_may_have_it_below_a_path(open_page: Open, model: Model, server: Server) -> None:
    page = open_page("/#code", below="/tools/belljar")
    done = run(page, CHART)
    assert page.evaluate("document.querySelector('.chart img').naturalWidth") > 100
    with page.expect_download() as download:
        done.get_by_role("button", name="sold.csv").click()
    assert download.value.suggested_filename == "sold.csv"
    page.keyboard.press("Alt+5")
    assert f'"{server.url}/tools/belljar"' in page.locator(".panel .code").text_content()
    page.get_by_role("button", name="Chat", exact=True).click()
    model.play([text("Hello from below.")])
    assert "Hello from below." in ask(page, "Hello").inner_text()
