"""Code that one writes oneself: run, stopped, shown, taken out again."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
from browsing import Open, choose, run, write
from playwright.sync_api import expect
from serving import Server

CHART = """
import matplotlib.pyplot as plt
import pandas as pd
table = pd.DataFrame({"month": ["Jan", "Feb"], "sold": [120, 180]})
plt.bar(table["month"], table["sold"])
plt.title("Sold")
table.to_csv("sold.csv", index=False)
print("in all", table["sold"].sum())
table
"""


def test_a_run_shows_text_a_table_a_chart_and_its_file(open_page: Open) -> None:
    page = open_page("/#code")
    done = run(page, CHART)
    assert done.locator(".printed.stdout").inner_text().strip() == "in all 300"
    assert done.locator(".rich table tbody tr").count() == 2
    assert done.locator(".rich tbody td.number").all_inner_texts() == ["120", "180"]
    assert "Sold" in (done.locator(".chart img").get_attribute("alt") or "")
    assert page.evaluate("document.querySelector('.chart img').naturalWidth") > 100
    with page.expect_download() as download:
        done.get_by_role("button", name="sold.csv").click()
    assert download.value.suggested_filename == "sold.csv"
    assert Path(download.value.path()).read_text() == "month,sold\nJan,120\nFeb,180\n"
    with page.expect_download() as download:
        done.get_by_role("button", name="Download the chart as SVG").click()
    assert b"<svg" in Path(download.value.path()).read_bytes()


def test_output_comes_while_the_code_runs_and_stop_ends_it(open_page: Open, http: httpx2.Client) -> None:
    page = open_page("/#code")
    write(page, "import time\nprint('first', flush=True)\ntime.sleep(25)\nprint('last')")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator(".jar.running .printed", has_text="first").wait_for()
    page.get_by_role("tab", name="Timeline").click()
    page.locator(".step.execution.open").wait_for()
    page.keyboard.press("Control+.")
    page.locator(".jar.limit .jar-state", has_text="Stopped").wait_for()
    assert page.locator(".sr[role=status]").inner_text() == "Stopped"
    page.locator(".step.execution", has_text="cancelled").wait_for()
    # The interpreter lives, and with it what the code had.
    done = run(page, "time.__name__")
    assert done.locator(".printed").inner_text().strip() == "'time'"


def test_variables_stay_in_the_container_or_go_with_a_fresh_session(open_page: Open) -> None:
    page = open_page("/#code")
    run(page, "x = 41")
    assert run(page, "x + 1").locator(".printed").inner_text().strip() == "42"
    page.get_by_label("Keep variables and files").uncheck()
    fault = run(page, "x", "Raised an exception")
    assert fault.locator(".fault-name").inner_text() == "NameError: name 'x' is not defined"


def test_an_exception_has_its_place_its_hint_and_a_folded_traceback(open_page: Open) -> None:
    page = open_page("/#code")
    source = "import pandas as pd\nsales = pd.DataFrame({'sold': [1]})\nsales['slod']"
    fault = run(page, source, "Raised an exception").locator(".fault")
    assert fault.locator(".fault-name").inner_text() == "KeyError: 'slod'"
    assert "Line 3" in fault.locator(".fault-place").inner_text()
    assert "'sold'" in fault.locator(".hint").inner_text()
    assert not fault.locator("pre").first.is_visible()
    fault.get_by_text("Traceback", exact=True).click()
    assert "KeyError" in fault.locator("pre").first.inner_text()


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        ("x = bytearray(2_000_000_000)", "Out of memory", "Limit of memory: 1 GiB"),
        ("while True: pass", "Out of time", "Limit of time: 0.5 s"),
    ],
)
def test_the_limit_that_ended_a_run_is_named(open_page: Open, code: str, state: str, words: str) -> None:
    page = open_page("/#code")
    if "time" in words:
        page.get_by_label("Seconds").fill("0.5")
    done = run(page, code, state)
    assert words in done.inner_text()


def test_a_mebibyte_of_text_does_not_freeze_the_page(open_page: Open) -> None:
    page = open_page("/#code")
    done = run(page, "for n in range(24_000): print(n, 'a line that goes on for a while')")
    assert done.locator(".gap").is_visible()
    assert done.inner_text().count("\n") < 3000
    done.get_by_role("button", name="Show all").click()
    done.locator(".printed.whole").wait_for()
    assert "15000 a line" in done.locator(".printed.whole").text_content()
    # It still answers: one long line, and thousands of displays.
    run(page, "print('x' * 1_000_000)\nfrom IPython.display import display\nfor n in range(300): display(n)")
    page.get_by_role("tab", name="Snippet").click()
    assert page.locator(".panel .code").is_visible()


def test_displays_are_replaced_and_taken_back(open_page: Open) -> None:
    page = open_page("/#code")
    done = run(
        page,
        "from IPython.display import display, clear_output, HTML\n"
        "print('gone'); clear_output()\n"
        "shown = display('one', display_id=True); shown.update('two')\n"
        "display(HTML('<p>with <b>markup</b></p>'))\n"
        "print('\\x1b[31mred\\x1b[0m')\n"
        "print('half\\rwhole')",
    )
    text = done.inner_text()
    assert "two" in text
    assert "one" not in text
    assert done.locator(".rich b").inner_text() == "markup"
    assert "red" in text
    assert "\x1b" not in text
    assert "whole" in text
    assert "half" not in text


def test_files_go_in_beside_the_code_and_into_the_container(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/#code")
    data = tmp_path / "Zahlen – أرقام.csv"
    data.write_text("a\n1\n2\n")
    choose(page, page.locator(".bench").get_by_role("button", name="Attach files"), data)
    page.locator(".chip.kept", has_text="Zahlen").wait_for()
    done = run(page, "import os; print(sorted(os.listdir()))")
    assert "Zahlen" in done.locator(".printed").inner_text()
    assert page.locator(".chip").count() == 0
    other = tmp_path / "put.txt"
    other.write_text("put by hand")
    choose(page, page.get_by_role("button", name="Put files"), other)
    page.locator(".file-list", has_text="put.txt").wait_for()
    assert run(page, "open('put.txt').read()").locator(".printed").inner_text().strip() == "'put by hand'"
    with page.expect_download() as download:
        page.locator(".file-list").get_by_role("button", name="Download put.txt").click()
    assert Path(download.value.path()).read_text() == "put by hand"


def test_a_file_of_the_container_is_deleted_when_that_was_meant(open_page: Open) -> None:
    page = open_page("/#code")
    run(page, "for name in 'abc': open(f'{name}.txt', 'w').write(name)")
    asked = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        (dialog.dismiss if len(asked) == 1 else dialog.accept)()

    page.on("dialog", answer)
    button = page.get_by_role("button", name="Delete b.txt")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    # The focus goes on to what is left.
    for left in ("Download c.txt", "Download a.txt", "Put files"):
        expect(page.get_by_role("tabpanel").get_by_role("button", name=left)).to_be_focused()
        page.keyboard.press("Tab")
        if left != "Put files":
            page.keyboard.press("Enter")
    assert asked == [f"Delete {name}.txt? It cannot be brought back." for name in "bbca"]


def test_a_dropped_file_is_taken(open_page: Open) -> None:
    page = open_page("/#code")
    transfer = page.evaluate_handle(
        "() => { const it = new DataTransfer(); it.items.add(new File(['dropped'], 'd.txt')); return it }"
    )
    page.dispatch_event(".bench", "drop", {"dataTransfer": transfer})
    page.locator(".chip.kept", has_text="d.txt").wait_for()


def test_the_container_shows_its_limits_and_what_it_uses(open_page: Open, http: httpx2.Client) -> None:
    page = open_page("/#code")
    page.get_by_role("button", name="New container…").click()
    page.get_by_label("Memory, MiB").fill("512")
    page.get_by_label("Processors").fill("0.5")
    page.get_by_role("button", name="Make it").click()
    page.locator(".facts").wait_for()
    run(page, "x = b'1' * 60_000_000\nopen('a.bin', 'wb').write(x[:3_000_000])")
    memory = page.get_by_role("meter", name="Memory")
    page.locator("[role=meter][aria-label=Disk][aria-valuetext*='2.9 MiB']").wait_for()
    assert float(memory.get_attribute("aria-valuenow") or 0) > 60_000_000
    assert memory.get_attribute("aria-valuemax") == str(512 * 1024 * 1024)
    shown = page.locator(".panel .facts dd.mono").inner_text()
    facts = http.get(f"/v1/containers/{shown}").json()
    assert facts["limits"]["cpus"] == 0.5
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="End it").click()
    page.locator(".panel .facts").wait_for(state="detached")
    assert http.get(f"/v1/containers/{shown}").status_code == 404


def test_a_container_that_is_gone_is_said_to_be(open_page: Open, http: httpx2.Client) -> None:
    page = open_page("/#code", expected=("404",))
    pending: set[Any] = set()
    page.on("request", lambda request: pending.add(request))
    page.on("requestfinished", lambda request: pending.discard(request))
    page.on("requestfailed", lambda request: pending.discard(request))
    run(page, "x = 1")
    quiet = 0
    while (
        quiet < 10
    ):  # it looks at the container when the run's stream has ended, and would see that it is gone
        page.wait_for_timeout(50)
        quiet = 0 if pending else quiet + 1
    http.delete(f"/v1/containers/{page.locator('.panel .facts dd.mono').inner_text()}")
    lost = run(page, "x", "Not run")
    assert "deleted" in lost.locator(".error-words").inner_text()
    assert "new container" in page.locator(".trouble").inner_text()
    assert run(page, "2 + 2").locator(".printed").inner_text().strip() == "4"


def test_the_timeline_of_a_run(open_page: Open) -> None:
    page = open_page("/#code")
    run(page, "sum(range(10**6))")
    page.get_by_role("tab", name="Timeline").click()
    page.locator(".step.run").wait_for()
    assert page.locator(".step-name").all_inner_texts()[0].startswith("Execution")
    assert "1 execution" in page.locator(".sum").inner_text()
    assert re.search(r"stood ready|forked for this request", page.locator(".step.session").inner_text())


def test_a_server_that_has_gone_is_said_to_be(open_page: Open, server: Server) -> None:
    page = open_page("/#code", expected=("ERR_FAILED",))
    page.route("**/v1/executions", lambda route: route.abort())
    lost = run(page, "1", "Not run")
    assert "cannot be reached" in lost.inner_text()


def test_a_stream_that_ends_early_is_said_to_have(open_page: Open) -> None:
    page = open_page("/#code")
    begun = 'event: started\ndata: {"type":"started","id":"exec_1","container":null}\n\n'
    page.route("**/v1/executions", lambda route: route.fulfill(content_type="text/event-stream", body=begun))
    assert "broke off" in run(page, "1", "Broken off").inner_text()


def test_what_is_typed_takes_the_place_of_what_was_selected(open_page: Open) -> None:
    page = open_page("/#code")
    write(page, "one\ntwo\nthree")
    page.keyboard.press("Control+a")
    page.keyboard.type("print('new')")
    assert page.locator(".cm-content").inner_text() == "print('new')"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+a")
    page.keyboard.type("(")
    page.locator(".cm-content", has_text="(one").wait_for()
    assert page.locator(".cm-content").inner_text() == "(one\ntwo\nthree)"


def test_nothing_is_run_twice_at_the_same_time(open_page: Open, http: httpx2.Client) -> None:
    page = open_page("/#code")
    sent: list[str] = []
    lock = threading.Lock()

    def note(request: Any) -> None:
        if request.url.endswith("/v1/executions"):
            with lock:
                sent.append(request.url)

    page.on("request", note)
    write(page, "import time; time.sleep(0.5)")
    for _ in range(3):
        page.keyboard.press("Control+Enter")
    page.locator(".jar.good").wait_for()
    assert len(sent) == 1


def test_a_chart_is_downloaded_from_the_container_that_drew_it(open_page: Open) -> None:
    page = open_page("/#code")
    drawn = run(page, CHART)
    page.get_by_role("combobox", name="Container").select_option("")
    run(page, "1")  # in a container of its own
    drawn.locator(".fold").click()
    with page.expect_download() as download:
        drawn.get_by_role("button", name="Download the chart as SVG").click()
    assert b"<svg" in Path(download.value.path()).read_bytes()
    # A session that is gone draws nothing any more, and offers nothing.
    page.get_by_label("Keep variables and files").uncheck()
    fresh = run(page, CHART)
    assert fresh.locator(".chart img").count() == 1
    assert fresh.get_by_role("button", name="Download the chart as").count() == 0


def test_a_double_click_runs_code_and_does_not_stop_it(open_page: Open) -> None:
    page = open_page("/#code")
    write(page, "import time; time.sleep(1); print('to the end')")
    page.get_by_role("button", name="Run", exact=True).dblclick()
    page.locator(".jar.good .printed", has_text="to the end").wait_for()


def test_all_of_a_long_output_has_its_lines_as_they_were(open_page: Open) -> None:
    page = open_page("/#code")
    done = run(page, "for n in range(3000): print(n, '\\U0001f600' * 5, 'a line that goes on for a while')")
    done.get_by_role("button", name="Show all").click()
    # Each piece begins on a line of its own.
    pieces = done.locator(".piece").all_text_contents()
    assert len(pieces) > 2
    assert all(piece.endswith("a line that goes on for a while\n") for piece in pieces)
    assert "".join(pieces).count("\n") == 3000


def test_an_exception_of_many_lines_has_them(open_page: Open) -> None:
    page = open_page("/#code")
    fault = run(page, "raise ValueError('first\\n  second')", "Raised an exception")
    assert fault.locator(".fault-name").inner_text() == "ValueError: first\n  second"


def test_what_was_written_beyond_the_limit_of_output_is_no_part_of_it(open_page: Open) -> None:
    page = open_page("/#code")
    done = run(page, "while True: print('x' * 1000)", "Too much output")
    told = done.locator(".note.limit", has_text="Limit of output").inner_text()
    assert re.fullmatch(r"Limit of output: 1 MiB; used: [\d.]+ MiB", told)


def test_a_word_of_trouble_goes_when_the_trouble_is_over(open_page: Open) -> None:
    page = open_page("/#code", expected=("ERR_FAILED",))
    run(page, "x = 1")
    page.route("**/v1/**", lambda route: route.abort())
    run(page, "x", "Not run")
    page.locator(".trouble", has_text="cannot be reached").wait_for()
    assert page.locator(".level").inner_text() == "Out of reach"
    page.keyboard.press("Alt+4")
    with page.expect_event("requestfailed", lambda request: "/v1/containers?" in request.url):
        page.keyboard.press("Alt+3")
    # What is said above is not said a second time.
    page.get_by_role("combobox", name="Container").wait_for()
    assert page.locator(".panel .error-words").count() == 0
    page.unroute("**/v1/**")
    run(page, "x")
    page.locator(".trouble").wait_for(state="detached")
    assert page.locator(".level").inner_text().startswith("Jail: ")


def test_displays_are_shown_in_the_form_that_says_most(open_page: Open) -> None:
    page = open_page("/#code")
    done = run(
        page,
        "from IPython.display import display, HTML, JSON, Latex\n"
        "display(Latex('$x^2$')); display(JSON({'a': 1}))\n"
        "display(HTML('<h2>Head</h2><ul><li>point</li></ul>'))",
    )
    assert [it.inner_text().strip() for it in done.locator(".printed").all()] == ["$x^2$", '{"a": 1}']
    marks = done.locator(".rich ul").evaluate("(it) => getComputedStyle(it).listStyleType")
    assert marks == "disc"
    weight = done.locator(".rich .heading").evaluate("(it) => getComputedStyle(it).fontWeight")
    assert weight == "600"


def test_the_end_of_what_is_being_printed_is_in_sight(open_page: Open) -> None:
    page = open_page("/#code")
    rest = "import time; time.sleep(1); print('more', flush=True); time.sleep(20)"
    write(page, f"for n in range(200): print('line', n, flush=True)\n{rest}")
    page.keyboard.press("Control+Enter")
    printed = page.locator(".jar.running .printed")
    page.locator(".jar.running .printed", has_text="line 199").wait_for()
    assert printed.evaluate(
        "(it) => it.scrollTop > 0 && it.scrollHeight - it.scrollTop - it.clientHeight < 3"
    )
    # Whoever reads further up is left there.
    printed.evaluate("(it) => new Promise((done) => { it.onscrollend = done; it.scrollTop = 0 })")
    page.locator(".jar.running .printed", has_text="more").wait_for()
    assert printed.evaluate("(it) => it.scrollTop") == 0
    page.keyboard.press("Control+.")
    page.locator(".jar.limit .jar-state", has_text="Stopped").wait_for()


def test_what_is_left_out_of_a_long_output_cuts_no_character_in_two(open_page: Open) -> None:
    page = open_page("/#code")
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    done = run(page, f"print('a' + '{family}' * 5000 + 'b', end='')")
    done.get_by_role("button", name="Show all").wait_for()
    left = [part.replace(family, "") for part in done.locator(".printed").all_text_contents()]
    assert left == ["a", "b"]
