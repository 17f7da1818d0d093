"""What a model, code, a file or an error says stays words: nothing runs, is loaded, or passes for the page."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from browsing import Open, ask, run
from serving import Events, Model, Refusal, Server, code, events_of, said, text

SIGN = "window.__owned = true"
HOSTILE = [
    f"<script>{SIGN}</script>",
    f"<img src=x onerror='{SIGN}'>",
    f"<svg onload='{SIGN}'><style>*{{display:none}}</style></svg>",
    f"<a href='javascript:{SIGN}'>link</a>",
    f"<iframe srcdoc='<script>{SIGN}</script>'></iframe>",
    f"<math><mtext><table><mglyph><style><img src=x onerror='{SIGN}'>",
    "<form action='https://example.org'><input name=a autofocus><button>Send</button></form>",
    "<link rel=stylesheet href=https://example.org/a.css><style>@import 'https://example.org/b.css';</style>",
    "<img src='https://example.org/pixel.png'><video src='https://example.org/v.mp4'></video>",
    "<div style='position:fixed;inset:0;background:url(https://example.org/c.png)' class='head' id='page'>over</div>",
    "<meta http-equiv=refresh content='0;url=https://example.org'><base href='https://example.org'>",
    f"<details open ontoggle='{SIGN}'>x</details><object data='https://example.org'></object>",
]
ALL = "\n\n".join(HOSTILE)


def is_whole(page: Any) -> None:
    """Nothing has run, and the page is the page."""
    page.wait_for_timeout(150)
    assert page.evaluate("window.__owned") is None
    assert (
        page.locator("iframe, object, embed, base, form[action], main style, main link, main script").count()
        == 0
    )
    assert page.locator("main [style*='fixed'], main [onerror], main [onload], main [ontoggle]").count() == 0
    assert page.locator(".head").count() == 1
    for link in page.locator("main a[href]").all():
        assert re.match("https?:|mailto:|#", link.get_attribute("href") or "")


def test_in_the_words_of_a_model(open_page: Open, model: Model) -> None:
    page = open_page()
    # Held back into pieces of ten letters, so each is parsed by half as well.
    model.play([text(f"![pixel](https://example.org/p.png) [go](javascript:{SIGN})\n\n{ALL}")])
    ask(page, ALL)
    is_whole(page)
    assert "pixel" in page.locator(".reply").inner_text()


def test_in_what_code_displays(open_page: Open) -> None:
    page = open_page("/#code")
    source = f"""
from IPython.display import display, HTML, Markdown, SVG
for hostile in {HOSTILE!r}:
    display(HTML(hostile)); display(Markdown(hostile)); print(hostile)
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>{SIGN}</script></svg>"))
import pandas as pd
table = pd.DataFrame({{"<img src=x onerror='{SIGN}'>": [{HOSTILE[0]!r}]}})
display(HTML(table.to_html(escape=False)))
table
"""
    run(page, source)
    is_whole(page)


def test_in_titles_of_charts_names_of_files_and_errors(open_page: Open) -> None:
    page = open_page("/#code")
    image = f"<img src=x onerror='{SIGN}'>"
    source = f"""
import matplotlib.pyplot as plt
plt.plot([1, 2], label={image!r}); plt.title({image!r}); plt.legend(); plt.show()
open({image!r}.replace("/", "_") + ".html", "w").write({ALL!r})
raise ValueError({ALL!r})
"""
    done = run(page, source, "Raised an exception")
    done.locator(".chart summary").click()
    done.get_by_text("Traceback", exact=True).click()
    is_whole(page)
    assert image in (done.locator(".chart img").get_attribute("alt") or "")
    # A page that code has written is saved, and not shown.
    with page.expect_download():
        done.locator(".files button").click()
    assert len(page.context.pages) == 1


def test_in_an_error_of_the_model_server(open_page: Open, model: Model) -> None:
    import json

    page = open_page(expected=("400",))
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": ALL}})
    model.play(Refusal(400, body.encode(), {"content-type": "application/json"}))
    failed = ask(page, "hello")
    assert "<script>" in failed.locator(".error-words").inner_text()
    is_whole(page)


def test_a_name_of_a_model_is_only_a_name(open_page: Open, model: Model) -> None:
    page = open_page(expected=("400",))
    model.play([code(f"print({HOSTILE[0]!r})"), text(HOSTILE[1])], [text("x")])
    ask(page, "hello")
    page.keyboard.press("Alt+5")
    is_whole(page)


def test_the_policy_holds_where_something_would_run(open_page: Open) -> None:
    """So that the tests above do not pass for want of a browser that would have run anything."""
    page = open_page(expected=("Content Security Policy", "CSP", "TrustedHTML", "TrustedScript", "violates"))
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate(f"document.body.insertAdjacentHTML('beforeend', {HOSTILE[1]!r})")
    with pytest.raises(Exception, match="TrustedScript"):
        page.evaluate(f"document.body.setAttribute('onclick', {SIGN!r})")
    assert page.evaluate("window.__owned") is None
    with pytest.raises(Exception, match="fetch"):
        page.evaluate("fetch('http://127.0.0.1:1/')")


@pytest.fixture
def served(server: Server) -> httpx2.Client:
    return httpx2.Client(base_url=server.url)


def test_how_the_page_is_served(served: httpx2.Client) -> None:
    with served as http:
        document = http.get("/")
        policy = document.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "style-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert document.headers["x-content-type-options"] == "nosniff"
        assert document.headers["referrer-policy"] == "no-referrer"
        assert document.headers["x-dns-prefetch-control"] == "off"
        assert document.headers["cache-control"] == "no-cache"
        again = http.get("/", headers={"if-none-match": document.headers["etag"]})
        assert again.status_code == 304
        assert again.content == b""
        assert not re.search(r"https?://", document.text)
        scripts = re.findall(r'(?:src|href)="(page/[^"]+)"', document.text)
        assert len(scripts) >= 3
        for path in scripts:
            asset = http.get(f"/{path}")
            assert asset.status_code == 200
            assert "immutable" in asset.headers["cache-control"]
            assert asset.headers["content-security-policy"] == policy
            plain = http.get(f"/{path}", headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers
            assert plain.content == asset.content
        licences = http.get("/page/licenses.md")
        assert licences.headers["content-type"].startswith("text/plain")
        assert licences.headers["cache-control"] == "no-cache"
        assert all(name in licences.text for name in ("preact", "dompurify", "marked", "@codemirror/view"))
        for path in (
            "/page/",
            "/page/index.html",
            "/page/../settings.py",
            "/page/%2e%2e/settings.py",
            "/page/x",
        ):
            assert http.get(path).status_code == 404


HARD = {
    "emphasis that never ends": "_a" * 29_000,
    "quotes in quotes": ">" * 50_000,
    "elements that never end": "<b>" * 30_000,
}


@pytest.mark.parametrize("words", HARD.values(), ids=HARD)
def test_words_that_are_hard_to_read_are_shown_and_the_page_answers(
    open_page: Open, model: Model, words: str
) -> None:
    page = open_page()
    model.play(Events(events_of(said([text(words)]), 20_000)))
    done = ask(page, "be hard")
    assert words[:1000] in done.locator(".reply").inner_text()
    page.keyboard.press("Alt+2")
    shown = run(
        page, f"from IPython.display import HTML, display\ndisplay(HTML({words[:2]!r} + '<b>' * 120_000))"
    )
    assert "<b><b>" in shown.inner_text()
