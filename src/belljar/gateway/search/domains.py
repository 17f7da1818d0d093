"""Which pages a search may bring: `allowed_domains` and `blocked_domains`. Pure.

An entry is a host with its subdomains, and perhaps a path, in which one `*` may stand for anything:
https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools#domain-filtering
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_HOST = re.compile(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One line of such a list."""

    host: str
    path: str
    """Empty, or with a slash in front."""

    def covers(self, host: str, path: str) -> bool:
        if host != self.host and not host.endswith(f".{self.host}"):
            return False
        before, star, after = self.path.partition("*")
        if not path.startswith(before):
            return False
        if not star:
            # `/blog` is a part of the site: `/blog/1` belongs to it, `/blogroll` does not.
            return before.endswith("/") or path[len(before) :][:1] in {"", "/"}
        return after in path[len(before) :]


@dataclass(frozen=True)
class Domains:
    """At most one of the two lists has entries."""

    allowed: tuple[Entry, ...] = ()
    blocked: tuple[Entry, ...] = ()
    fault: str = ""
    """What is wrong with an entry; then nothing can be searched for."""

    def admit(self, url: str) -> bool:
        """Whether a search may bring the page at `url`."""
        found = _host_and_path(url)
        if found is None:
            return False
        if self.allowed:
            return any(entry.covers(*found) for entry in self.allowed)
        return not any(entry.covers(*found) for entry in self.blocked)

    @property
    def allowed_hosts(self) -> list[str]:
        return list(dict.fromkeys(entry.host for entry in self.allowed))

    @property
    def blocked_hosts(self) -> list[str]:
        """Those of which nothing at all may come."""
        return list(dict.fromkeys(entry.host for entry in self.blocked if entry.path in {"", "/", "/*"}))

    def narrowed(self, text: str, most_chars: int, most_words: int) -> str:
        """`text` with the operator `site:` that most engines know, where there is room for that."""
        sites = " OR ".join(f"site:{host}" for host in self.allowed_hosts)
        if len(self.allowed_hosts) > 1:
            sites = f"({sites})"
        more = " ".join(
            [text, *([sites] if sites else []), *(f"-site:{host}" for host in self.blocked_hosts)]
        )
        return more if len(more) <= most_chars and len(more.split()) <= most_words else text


def read(allowed: Sequence[str], blocked: Sequence[str]) -> Domains:
    """The lists as they were sent. An entry that is none is told in `fault`."""
    try:
        return Domains(tuple(map(_entry, allowed)), tuple(map(_entry, blocked)))
    except ValueError as error:
        return Domains(fault=str(error))


def _entry(text: str) -> Entry:
    host, slash, path = text.partition("/")
    host = host.lower()
    if "://" in text:
        raise ValueError(f"{text!r}: leave the scheme out, as in example.com")
    if "*" in host:
        raise ValueError(f"{text!r}: a `*` can stand in the path only; subdomains are covered without one")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text!r} is not a domain, as in example.com, docs.example.com or example.com/blog")
    if path.count("*") > 1:
        raise ValueError(f"{text!r}: only one `*` is allowed")
    return Entry(host, slash + path)


def _host_and_path(url: str) -> tuple[str, str] | None:
    """None where that is no page of the web."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host:
        return None
    # As the server will understand it: dots lead nowhere, and %62log is blog.
    steps: list[str] = []
    for step in unquote(parts.path).split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step != ".":
            steps.append(step)
    path = "/".join(steps)
    return host.rstrip(".").lower(), path if path.startswith("/") else f"/{path}"
