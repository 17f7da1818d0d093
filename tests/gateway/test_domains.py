"""Which pages `allowed_domains` and `blocked_domains` let through."""

from __future__ import annotations

import pytest

from belljar.gateway.search import domains


@pytest.mark.parametrize(
    ("entry", "url", "is_covered"),
    [
        ("example.com", "https://example.com", True),
        ("example.com", "http://docs.example.com/a?b=c", True),
        ("example.com", "https://EXAMPLE.com:8080/", True),
        ("Example.COM", "https://example.com./", True),
        ("example.com", "https://notexample.com/", False),
        ("example.com", "https://example.com.evil.org/", False),
        ("example.com", "https://evil.org/example.com", False),
        ("example.com", "https://example.com@evil.org/", False),
        ("docs.example.com", "https://example.com/", False),
        ("docs.example.com", "https://api.example.com/", False),
        ("example.com/blog", "https://example.com/blog", True),
        ("example.com/blog", "https://www.example.com/blog/post-1", True),
        ("example.com/blog", "https://example.com/blogroll", False),
        ("example.com/blog", "https://example.com/Blog", False),
        ("example.com/blog", "https://example.com/", False),
        ("example.com/blog", "https://example.com/blog/../admin", False),
        ("example.com/blog", "https://example.com/%62log/1", True),
        ("example.com/", "https://example.com/anything", True),
        ("example.com/*", "https://example.com/anything", True),
        ("example.com/*/articles", "https://example.com/en/articles/1", True),
        ("example.com/*/articles", "https://example.com/en/news", False),
    ],
)
def test_an_entry(entry: str, url: str, is_covered: bool) -> None:
    assert domains.read([entry], []).admit(url) is is_covered
    assert domains.read([], [entry]).admit(url) is not is_covered


@pytest.mark.parametrize("url", ["ftp://example.com/", "https://", "//example.com", "http://[half/", "words"])
def test_what_is_no_page_never_comes(url: str) -> None:
    assert not domains.read([], []).admit(url)


@pytest.mark.parametrize(
    "entry",
    [
        "https://example.com",
        "*.example.com",
        "ex*.com",
        "example.com/*/news/*",
        "",
        "example",
        "a b.com",
        "éa.com",
    ],
)
def test_what_is_no_entry(entry: str) -> None:
    assert repr(entry) in domains.read([entry], []).fault
    assert repr(entry) in domains.read([], ["example.com", entry]).fault


def test_the_words_for_an_engine() -> None:
    assert domains.read([], []).narrowed("q", 400, 50) == "q"
    assert domains.read(["a.com/x"], []).narrowed("q", 400, 50) == "q site:a.com"
    assert (
        domains.read(["a.com", "b.com", "a.com/x"], []).narrowed("q", 400, 50)
        == "q (site:a.com OR site:b.com)"
    )
    # An engine knows hosts only: of a path nothing can be said to it without losing more.
    assert domains.read([], ["a.com", "b.com/x"]).narrowed("q", 400, 50) == "q -site:a.com"
    assert domains.read(["a.com"], []).narrowed("q", 10, 50) == "q"
    assert domains.read(["a.com"], []).narrowed("q", 400, 1) == "q"
