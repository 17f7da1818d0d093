"""Files on their way in: what cannot be read, what goes along again, what is dropped or pasted beside the mark."""

from __future__ import annotations

from browsing import Open

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
