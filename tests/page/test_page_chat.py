"""A conversation: written, run, shown, stopped, asked again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from browsing import Open, ask, axe, choose, write
from engines import PAGES, Engine, search
from playwright.sync_api import expect
from serving import (
    BreakOff,
    Events,
    Model,
    Refusal,
    Stall,
    bash,
    code,
    events_of,
    said,
    serving,
    text,
    thinking,
)

OVERLOADED = Refusal(
    529,
    b'{"type":"error","error":{"type":"overloaded_error","message":"Too many ask this model."}}',
    {"content-type": "application/json"},
)


def test_an_answer_with_code_its_output_a_chart_and_files(open_page: Open, model: Model) -> None:
    page = open_page()
    source = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.title('Squares')\n"
        "open('made.txt', 'w').write('made')\nprint('printed')"
    )
    model.play([thinking("I draw."), text("Let me **see**."), code(source)], [text("It goes *up*.")])
    done = ask(page, "Draw the squares")
    assert done.locator(".words strong").inner_text() == "see"
    assert done.locator(".jar .code").inner_text() == source
    assert done.locator(".jar .printed").inner_text().strip() == "printed"
    assert "Squares" in (done.locator(".jar .chart img").get_attribute("alt") or "")
    assert done.locator(".used").inner_text() == "202 input tokens, 20 output tokens, 1 execution"
    with page.expect_download() as download:
        done.get_by_role("button", name="made.txt").click()
    assert Path(download.value.path()).read_text() == "made"
    assert done.locator(".thinking p").is_visible() is False
    # What the model was sent is what the page said.
    assert (
        model.requests[0]["messages"]
        == [{"role": "user", "content": [{"type": "text", "text": "Draw the squares"}]}]
        or model.requests[0]["messages"][0]["content"] == "Draw the squares"
    )


def test_code_is_shown_as_it_is_written_and_output_as_it_happens(open_page: Open, model: Model) -> None:
    page = open_page()
    goes_on = threading.Event()
    source = 'import time\nprint("one \\u00e9", flush=True)\ntime.sleep(20)\n'

    def slowly() -> Iterator[dict[str, Any]]:
        events = list(events_of(said([code(source)]), 5))
        half = next(n for n, event in enumerate(events) if "input_json_delta" in str(event)) + 5
        yield from events[:half]
        goes_on.wait(30)
        yield from events[half:]

    model.play(Events(slowly()))
    page.fill("#message", "run it")
    page.get_by_role("button", name="Send").click()
    page.locator(".jar.writing .code", has_text="import").wait_for()
    assert "sleep" not in page.locator(".jar .code").inner_text()
    goes_on.set()
    page.locator(".jar.running .printed", has_text="one é").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".note", has_text="Stopped").wait_for()
    assert page.locator(".jar-state").inner_text() == "Interrupted"  # it has run, as its output shows
    # A use without a result does not go back into the history.
    model.play([text("Well.")])
    ask(page, "and now?")
    assert [message["role"] for message in model.requests[0]["messages"]] == ["user"]
    assert "tool_use" not in str(model.requests[0]["messages"])


def test_a_shells_output_comes_as_it_happens_and_then_as_the_model_gets_it(
    open_page: Open, model: Model
) -> None:
    page = open_page()
    model.play([bash("echo one; sleep 20")])
    page.fill("#message", "run it")
    page.get_by_role("button", name="Send").click()
    page.locator(".jar.running .printed", has_text="one").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".note", has_text="Stopped").wait_for()
    model.play([bash("echo one; sleep 0.5; echo two; echo bad >&2; exit 3")], [text("Done.")])
    done = ask(page, "once more")
    last = done.locator(".jar").last
    assert [it.inner_text().strip() for it in last.locator(".printed").all()] == ["one\ntwo", "bad"]
    assert "Return code 3" in last.inner_text()


ENDED = "print('so far', flush=True)\nimport os\nos.kill(os.getpid(), 9)"


@pytest.mark.parametrize("profile", ["anthropic", "inline"])
def test_how_code_was_ended_is_told_below_what_it_has_printed(
    open_page: Open, model: Model, profile: str
) -> None:
    page = open_page()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Results come as").select_option(profile)
    model.play([code(ENDED)], [text("Well.")])
    done = ask(page, "leave")
    assert [it.inner_text().strip() for it in done.locator(".jar .printed").all()] == ["so far"]
    note = done.locator(".jar .note").first.inner_text()
    assert "variables are lost" in note
    assert "so far" not in note


def test_warnings_that_were_taken_back_are_no_word_of_how_code_has_ended(
    open_page: Open, model: Model
) -> None:
    page = open_page()
    source = (
        "import sys\nfrom IPython.display import clear_output\n"
        "print('warning', file=sys.stderr)\nclear_output()\nprint('step', end='')\n"
        "print('one', file=sys.stderr)\nprint('end')"
    )
    model.play([code(source)], [text("Well.")])
    done = ask(page, "warn")
    assert "one" in done.locator(".jar").inner_text()
    assert done.locator(".jar .note").count() == 0


def test_several_turns_keep_the_container(open_page: Open, model: Model, http: httpx2.Client) -> None:
    page = open_page()
    model.play([code("x = 20")], [text("Kept.")])
    ask(page, "remember")
    model.play([code("x + 1")], [text("So it is.")])
    second = ask(page, "and use it")
    assert second.locator(".jar .printed").inner_text().strip() == "21"
    assert len(model.requests[0]["messages"]) == 5  # question, use, result, answer, question
    # The same container under the editor's hand.
    page.keyboard.press("Alt+2")
    write(page, "x")
    page.keyboard.press("Control+Enter")
    page.locator(".jar.good .printed", has_text="20").wait_for()


def test_a_failure_is_told_in_the_servers_words_and_tried_again(open_page: Open, model: Model) -> None:
    page = open_page(expected=("529",))
    model.play(OVERLOADED)
    failed = ask(page, "hello")
    assert failed.locator(".error-words").inner_text() == "Too many ask this model."
    model.play([text("Hello.")])
    page.get_by_role("button", name="Try again").click()
    page.locator(".words", has_text="Hello.").wait_for()
    assert page.locator(".exchange").count() == 1


def test_a_stream_that_breaks_off_shows_what_came(open_page: Open, model: Model) -> None:
    page = open_page()
    model.play(BreakOff([text("The first part and the rest")], 4))
    failed = ask(page, "hello")
    assert failed.locator(".words").inner_text().startswith("The first")
    assert "broke off" in failed.locator(".error-words").inner_text()


def test_a_pause_of_the_servers_is_gone_on_from(open_page: Open, model: Model) -> None:
    page = open_page()
    model.play(said([text("The first half.")], "pause_turn"))
    ask(page, "tell me")
    model.play([text("And the second.")])
    page.get_by_role("button", name="Let it go on").click()
    page.locator(".words", has_text="And the second.").wait_for()
    assert page.locator(".words").all_inner_texts() == ["The first half.", "And the second."]
    assert [message["role"] for message in model.requests[0]["messages"]] == ["user", "assistant"]


def test_what_may_be_asked_at_the_end_comes_together_with_the_end(open_page: Open, model: Model) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            window.seen = []
            new MutationObserver(() => {
                if (document.querySelector('.after')) window.seen.push(document.querySelector('.reply').innerText)
            }).observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true })
        }"""
    )
    model.play([text("The beginning, "), text("and the end.")])
    ask(page, "tell me")
    seen = page.evaluate("window.seen")
    assert seen
    assert all("and the end." in one for one in seen)


def test_stopping_a_model_that_does_not_answer(open_page: Open, model: Model) -> None:
    page = open_page()
    until = threading.Event()
    model.play(Stall(until, [text("some words")], 3))
    page.fill("#message", "hello")
    page.press("#message", "Enter")
    page.locator(".reply[aria-busy=true]").wait_for()
    page.keyboard.press("Control+.")
    page.locator(".note", has_text="Stopped").wait_for()
    until.set()


def test_files_go_along_with_a_message(open_page: Open, model: Model, tmp_path: Path) -> None:
    page = open_page()
    data = tmp_path / "numbers.csv"
    data.write_text("n\n1\n2\n")
    choose(page, page.locator(".composer").get_by_role("button", name="Attach files"), data)
    page.locator(".chip.kept").wait_for()
    model.play([code("print(open('numbers.csv').read())")], [text("Read.")])
    done = ask(page, "read it")
    assert done.locator(".question .chip").inner_text().startswith("numbers.csv")
    assert done.locator(".jar .printed").inner_text().strip() == "n\n1\n2"


def test_model_profile_version_and_system_prompt_are_chosen(open_page: Open, model: Model) -> None:
    page = open_page()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("combobox", name="Model").select_option("model-2")  # once it is known which there are
    page.get_by_label("Results come as").select_option("inline")
    page.get_by_label("Code execution tool").select_option("code_execution_20250522")
    page.get_by_label("System prompt").fill("Be brief.")
    model.play([code("print(6 * 7)")], [text("42")])
    done = ask(page, "what is it?")
    assert done.locator(".jar .printed").inner_text().strip() == "42"
    asked = model.requests[0]
    assert asked["model"] == "model-2"
    assert "Be brief." in str(asked["system"])
    page.locator(".jar").get_by_role("button", name="JSON of the result").click()
    assert '"code_execution_result"' in page.locator(".jar .json pre").inner_text()


def test_a_model_is_not_written_by_hand_while_it_is_not_known_which_there_are(
    open_page: Open, model: Model
) -> None:
    page = open_page()
    page.get_by_role("tab", name="Settings").click()
    chosen = page.get_by_role("combobox", name="Model")
    expect(chosen).to_be_enabled()
    held: list[Any] = []
    page.route("**/v1/models?*", lambda route: held.append(route))
    page.reload()
    page.get_by_role("tab", name="Settings").click()
    expect(chosen).to_be_disabled()
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    expect(chosen).to_be_enabled()


def test_the_web_is_searched_where_the_server_can(
    open_page: Open, model: Model, tmp_path: Path, the_model: Model
) -> None:
    page = open_page()
    page.get_by_role("tab", name="Settings").click()
    assert page.get_by_label("The model may search the web").count() == 0
    with (
        Engine() as engine,
        serving(
            tmp_path,
            upstream=f"anthropic:{the_model.url}",
            upstream_api_key="upstream-key",
            search=f"searxng:{engine.url}",
            preload={},
        ) as server,
    ):
        page = open_page(at=server.url)
        model.play([text("Without.")])
        ask(page, "say something")
        names = [tool["name"] for tool in model.requests[0]["tools"]]
        page.get_by_role("tab", name="Settings").click()
        page.get_by_label("The model may search the web").check()
        model.play([search("tech share prices")], [text("Found.")])
        page.fill("#message", "search")
        page.get_by_role("button", name="Send").click()
        page.locator(".exchange").nth(1).locator(".used").wait_for()
        assert [tool["name"] for tool in model.requests[0]["tools"]] == [*names, "web_search"]
        jar = page.locator(".jar", has_text="Web search")
        assert "tech share prices" in jar.locator(".code").inner_text()
        links = [link.get_attribute("href") for link in jar.locator(".found a").all()]
        assert links == [one["url"] for one in PAGES]
        axe(page)


def test_every_block_has_its_json(open_page: Open, model: Model) -> None:
    page = open_page()
    model.play([text("First."), code("print(1)")], [text("Last.")])
    done = ask(page, "go")
    names = [button.inner_text() for button in done.locator(".json-toggle .sr").all()]
    assert names == [
        "JSON of the question",
        "JSON of the text",
        "JSON of the use of Python",
        "JSON of output",
        "JSON of the result",
        "JSON of the text",
    ]
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Show the JSON beside every block").check()
    assert done.locator(".json").count() == 6
    assert '"server_tool_use"' in done.locator(".json").nth(2).inner_text()


def test_the_timeline_of_an_answer(open_page: Open, model: Model) -> None:
    page = open_page()
    model.play([code("print(1)")], [text("Done.")])
    ask(page, "go")
    page.get_by_role("tab", name="Timeline").click()
    page.locator(".step.turn").nth(1).wait_for()
    kinds = [name.inner_text().split("\n")[0] for name in page.locator(".step-name").all()]
    assert [kind.split()[0] for kind in kinds][:2] == ["Turn", "Execution"]
    assert "2 turns, 1 execution, 202 tokens in, 20 tokens out" in page.locator(".sum").inner_text()
    assert "101 tokens in, 10 tokens out" in page.locator(".step.turn").first.inner_text()


def test_a_long_answer_does_not_freeze_the_page(open_page: Open, model: Model) -> None:
    page = open_page()
    many = "\n\n".join(f"Paragraph {n} with **some** `words` in it." for n in range(400))
    whole = said([text(many + "\n\n```\n" + "x" * 900_000 + "\n```")])
    model.play(Events(events_of(whole, 4000)))
    done = ask(page, "write a lot")
    assert "are not shown" in done.inner_text()
    page.keyboard.press("Alt+5")
    page.locator(".panel .code").wait_for()


def test_right_to_left_words_and_code_left_to_right(open_page: Open, model: Model) -> None:
    page = open_page()
    model.play(
        [text("سأحسب **الآن**."), code("print('النتيجة:', 42)")],
        [text("## الخلاصة\n\nثم\n\n| الاسم | العمر |\n|---|---|\n| ليلى | 30 |")],
    )
    done = ask(page, "احسب لي ناتج ستة ضرب سبعة")

    def direction(selector: str) -> str:
        return str(done.locator(selector).first.evaluate("(it) => getComputedStyle(it).direction"))

    assert direction(".question p") == "rtl"
    assert direction(".words p") == "rtl"
    assert direction(".words table") == "rtl"
    assert direction(".jar .code") == "ltr"
    # A line that was printed runs its own way, beside others that run the other way.
    box = done.locator(".printed").evaluate(
        "(it) => { const range = document.createRange(); range.selectNodeContents(it);"
        " return [range.getBoundingClientRect().right, it.getBoundingClientRect().right] }"
    )
    assert abs(box[0] - box[1]) < 4


def test_a_number_can_be_taken_out_and_written_anew(open_page: Open, model: Model) -> None:
    page = open_page()
    page.get_by_role("tab", name="Settings").click()
    field = page.get_by_label("Most tokens of an answer")
    field.click()
    for _ in range(4):  # as many as its usual number has
        page.keyboard.press("Backspace")
    page.keyboard.type("8000")
    model.play([text("Yes.")], [text("Yes.")])
    ask(page, "?")
    field.fill("")
    ask(page, "?")
    assert [request["max_tokens"] for request in model.requests] == [8000, 4096]


def test_a_question_comes_into_sight_when_it_is_sent(open_page: Open, model: Model) -> None:
    page = open_page(height=600)
    model.play([text("\n\n".join(f"Paragraph {n}." for n in range(80)))], [text("Short.")])
    ask(page, "first")
    page.locator("#message").click()
    page.keyboard.type("second")
    page.mouse.move(400, 200)
    page.mouse.wheel(0, -9000)
    page.wait_for_function("() => scrollY === 0")
    page.get_by_role("button", name="Send").click()
    second = page.locator(".exchange").nth(1)
    second.locator(".after").wait_for()
    expect(second.locator(".words")).to_be_in_viewport()


def test_what_is_done_in_a_list_of_tasks_is_seen(open_page: Open, model: Model) -> None:
    page = open_page()
    model.play([text("- [ ] wash\n- [x] dry\n- plain")])
    done = ask(page, "what is left?")
    assert done.locator(".words li").all_inner_texts() == ["☐ wash", "☑ dry", "plain"]
    styles = done.locator(".words li").evaluate_all(
        "items => items.map(item => getComputedStyle(item).listStyleType)"
    )
    assert styles == ["none", "none", "disc"]


def test_the_end_of_an_answer_with_a_chart_is_in_sight(open_page: Open, model: Model) -> None:
    page = open_page(height=600)
    source = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])"
    model.play(
        [text("\n\n".join(f"Paragraph {n}." for n in range(20))), code(source)], [text("The last words.")]
    )
    done = ask(page, "Draw")
    done.locator(".chart img").wait_for()
    expect(done.locator(".words").last).to_be_in_viewport()
    expect(done.locator(".used")).to_be_in_viewport()


def test_the_end_of_an_answer_that_comes_at_once_is_in_sight(open_page: Open, model: Model) -> None:
    page = open_page(height=600)
    model.play([text("\n\n".join(f"Paragraph {n}." for n in range(40)))])
    done = ask(page, "?")
    expect(done.locator(".words p").last).to_be_in_viewport()
    expect(done.locator(".used")).to_be_in_viewport()


def test_the_end_stays_in_sight_where_the_page_gets_shorter_and_then_longer(
    open_page: Open, model: Model
) -> None:
    page = open_page(height=600)
    model.play([text("\n\n".join(f"Paragraph {n}." for n in range(40)))])
    done = ask(page, "?")
    expect(done.locator(".used")).to_be_in_viewport()
    # As a use of a tool does when it has ended, and then its picture: both before the browser tells of a scroll.
    left = page.evaluate(
        "async () => { const words = document.querySelector('.words');"
        " const picture = words.appendChild(document.createElement('div'));"
        " const nextFrame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));"
        " words.querySelector('p:nth-of-type(10)').style.display = 'none';"
        " picture.dispatchEvent(new Event('load'));"
        " picture.style.height = '900px';"
        " await nextFrame(); await nextFrame();"
        " picture.dispatchEvent(new Event('load'));"
        " return document.documentElement.scrollHeight - innerHeight - scrollY }"
    )
    assert left < 160


def test_words_in_a_table_are_not_broken_into_letters(open_page: Open, model: Model) -> None:
    page = open_page()
    names = [f"column{n}" for n in range(40)]
    rows = (" | ".join(names), "|".join(["---"] * 40), " | ".join(str(n * 1000) for n in range(40)))
    model.play([text("\n".join(f"| {row} |" for row in rows))])
    done = ask(page, "Make a table")
    heights = done.locator("th").evaluate_all("heads => heads.map(head => head.clientHeight)")
    assert len(heights) == 40
    assert max(heights) < 2 * 20


@pytest.mark.parametrize("shape", ["anthropic", "inline"])
def test_uses_that_have_one_id_have_each_their_own_output(open_page: Open, model: Model, shape: str) -> None:
    page = open_page()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Results come as").select_option(shape)
    model.play(
        [code("print('one')")],
        [code("print('two')"), code("print('three')"), bash("echo four", "toolu_01a")],
        [text("Done.")],
    )
    done = ask(page, "Count")
    printed = [text.strip() for text in done.locator(".jar .printed").all_inner_texts()]
    assert printed == ["one", "two", "three", "four"]
    assert done.locator(".jar-state").all_inner_texts() == ["Done"] * 4


def test_a_conversation_is_not_lost_by_a_slip(open_page: Open, model: Model) -> None:
    page = open_page()
    asked = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    page.fill("#message", "not sent yet")
    page.reload()
    assert asked == [], "there is none yet"
    model.play([text("Kept.")])
    done = ask(page, "Keep this")
    page.reload()
    assert asked == ["beforeunload"]
    expect(done).to_have_count(0)
    model.play([text("Once more.")])
    ask(page, "And this")
    page.get_by_role("button", name="New conversation").click()
    page.reload()
    assert asked == ["beforeunload"], "it was ended"
