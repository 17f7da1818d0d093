"""Files on their way in: what cannot be read, what goes along again, what is dropped or pasted beside the mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from browsing import Open, choose, run, write
from playwright.sync_api import expect

DROP = """({ where, ...data }) => {
  const transfer = new DataTransfer()
  if (data.input) transfer.items.add(document.querySelector(data.input).files[0])
  else transfer.items.add(new File(['dropped'], 'd.txt'))
  const made = (type) => new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true })
  const over = made('dragover')
  const drop = made('drop')
  document.querySelector(where).dispatchEvent(over)
  document.querySelector(where).dispatchEvent(drop)
  return [over.defaultPrevented, drop.defaultPrevented]
}"""


def test_a_file_dropped_beside_the_mark_does_not_take_the_page_away(open_page: Open) -> None:
    page = open_page()
    for where in (".head", ".panel-head", ".panel-body"):
        assert page.evaluate(DROP, {"where": where}) == [True, True], where
    assert page.locator(".chip").count() == 0


def test_a_file_dropped_on_the_editor_goes_along_and_not_into_the_code(open_page: Open) -> None:
    page = open_page("/#code")
    write(page, "print('mine')")
    page.evaluate(
        """() => {
          const transfer = new DataTransfer()
          transfer.items.add(new File(['dropped'], 'd.txt'))
          const target = document.querySelector('.editor').shadowRoot.querySelector('.cm-content')
          const how = { dataTransfer: transfer, bubbles: true, composed: true, cancelable: true }
          const event = new DragEvent("drop", how)
          target.dispatchEvent(event)
        }"""
    )
    page.locator(".chip.kept", has_text="d.txt").wait_for()
    assert page.locator(".cm-content").inner_text() == "print('mine')"


def test_a_file_that_cannot_be_read_is_said_to_be_so(open_page: Open, tmp_path: Path) -> None:
    page = open_page(expected=("ERR_FILE_NOT_FOUND",))
    gone = tmp_path / "gone.txt"
    gone.write_text("soon gone")
    page.evaluate(
        "() => document.body.append("
        "Object.assign(document.createElement('input'), { type: 'file', id: 'own' }))"
    )
    page.set_input_files("#own", gone)
    gone.unlink()
    page.evaluate(DROP, {"where": ".chat", "input": "#own"})
    said = page.locator(".chip.failed").inner_text()
    assert "cannot be read" in said
    assert "server" not in said


PASTE = """(words) => {
  const transfer = new DataTransfer()
  transfer.items.add(new File(['picture'], 'image.png', { type: 'image/png' }))
  if (words) transfer.setData('text/plain', words)
  const event = new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true })
  document.getElementById('message').dispatchEvent(event)
  return event.defaultPrevented
}"""


def test_text_that_was_copied_with_its_picture_is_pasted_as_text(open_page: Open) -> None:
    page = open_page()
    assert page.evaluate(PASTE, "one\ttwo") is False  # the browser goes on, and puts the words in
    assert page.locator(".chip").count() == 0
    assert page.evaluate(PASTE, "") is True
    page.locator(".chip.kept", has_text="image.png").wait_for()


def test_files_of_a_run_that_was_not_run_go_along_with_the_next(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/#code", expected=("ERR_FAILED",))
    data = tmp_path / "data.txt"
    data.write_text("still here")
    choose(page, page.locator(".bench").get_by_role("button", name="Attach files"), data)
    page.locator(".chip.kept").wait_for()
    page.route("**/v1/executions", lambda route: route.abort())
    run(page, "open('data.txt').read()", "Not run")
    page.unroute("**/v1/executions")
    done = run(page, "open('data.txt').read()")
    assert done.locator(".printed").inner_text().strip() == "'still here'"
    assert page.locator(".chip").count() == 0


def test_nothing_is_run_before_its_files_are_there(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/#code")
    data = tmp_path / "slow.txt"
    data.write_text("slow")
    held: list[Any] = []
    page.route("**/v1/files", lambda route: held.append(route))
    choose(page, page.locator(".bench").get_by_role("button", name="Attach files"), data)
    page.locator(".chip.sending").wait_for()
    button = page.get_by_role("button", name="Run", exact=True)
    assert button.is_disabled()
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    page.locator(".chip.kept").wait_for()
    assert button.is_enabled()


def test_many_files_leave_the_message_in_sight(open_page: Open, tmp_path: Path) -> None:
    page = open_page(width=360, height=640)
    names = [tmp_path / f"{n} of a name that is long enough to fill the line.txt" for n in range(40)]
    for name in names:
        name.write_text("x")
    with page.expect_file_chooser() as chooser:
        page.locator(".composer").get_by_role("button", name="Attach files").click()
    chooser.value.set_files(names)
    page.wait_for_function("() => document.querySelectorAll('.chip.kept').length === 40")
    for part in (page.locator("#message"), page.get_by_role("button", name="Send")):
        expect(part).to_be_in_viewport(ratio=1)
    assert page.locator(".chip").first.evaluate("(it) => it.clientHeight") < 40


def test_a_name_that_runs_backwards_is_shown_as_it_is(open_page: Open, tmp_path: Path) -> None:
    """Unicode has letters that turn the order around: by them `.exe` is shown as `.jpg`."""
    name = "evil\u202egpj.exe"
    (tmp_path / name).write_text("x")
    page = open_page("/#code")
    choose(page, page.locator(".bench").get_by_role("button", name="Attach files"), tmp_path / name)
    page.locator(".chip.kept").wait_for()
    assert "evil\ufffdgpj.exe" in page.locator(".chip").inner_text()
    done = run(page, f"open({name!r}, 'w').write('y')")
    for place in (done.locator(".files"), page.locator(".file-list")):
        place.wait_for()
        assert "evil\ufffdgpj.exe" in place.inner_text()
        assert "\u202e" not in place.inner_text()


def test_of_files_put_into_a_container_the_one_that_was_refused_is_named(
    open_page: Open, tmp_path: Path
) -> None:
    page = open_page("/#code", expected=("400",))
    page.get_by_role("button", name="New container…").click()
    page.get_by_label("Disk, MiB").fill("1")
    page.get_by_role("button", name="Make it").click()
    names = [tmp_path / name for name in ("a large one.bin", "small.txt")]
    names[0].write_bytes(bytes(3_000_000))
    names[1].write_text("small")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Put files").click()
    chooser.value.set_files(names)
    page.locator(".file-list", has_text="small.txt").wait_for()
    assert page.locator(".panel .error-words").inner_text().startswith("a large one.bin: ")


def test_names_of_all_kinds_come_in_and_go_out_again(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/#code")
    names = [
        "تقرير.txt",
        "😀" * 55 + ".csv",
        "ا" * 120 + ".txt",
        "a" * 251 + ".txt",
        'it\'s a "quote" & co.txt',
        "empty",
        "per%20cent#hash?.txt",
    ]
    for name in names:
        (tmp_path / name).write_text("" if name == "empty" else "x")
    with page.expect_file_chooser() as chooser:
        page.locator(".bench").get_by_role("button", name="Attach files").click()
    chooser.value.set_files([tmp_path / name for name in names])
    page.wait_for_function(
        "n => document.querySelectorAll('.chip.kept, .chip.failed').length === n", arg=len(names)
    )
    assert page.locator(".chip.failed").all_inner_texts() == []
    done = run(page, "import os, json; print(json.dumps(sorted(os.listdir())))")

    there = json.loads(done.locator(".printed").inner_text())
    assert len(there) == len(names)
    assert all("\ufffd" not in name for name in there)
    assert sorted(Path(name).suffix for name in there) == sorted(Path(name).suffix for name in names)
    for name in there:
        row = page.locator(".file-list li").filter(has=page.get_by_text(name, exact=True))
        with page.expect_download() as download:
            row.locator(".file-save").click()
        assert Path(download.value.path()).read_text() == ("" if name == "empty" else "x")
    other = tmp_path / "put?.txt"
    other.write_text("put")
    choose(page, page.get_by_role("button", name="Put files"), other)
    page.locator(".file-list", has_text="put?.txt").wait_for()
