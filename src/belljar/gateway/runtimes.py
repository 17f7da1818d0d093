"""Which runtime code runs in, and what is known of each.

A request may say so; else a rule of its model does, else the settings. A container keeps the runtime that it was made
with.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from belljar.builds import DEFAULT, FOLDER, Build, Runtimes
from belljar.errors import BelljarError, InvalidRequest, NotFound, RuntimeUnavailable
from belljar.gateway.placement import Container, Placement
from belljar.installed import Installed
from belljar.settings import Settings
from belljar.wire.resources import NotPreloaded, RuntimeDocument, RuntimeList, RuntimeState, TierHealth

HEADER = "belljar-runtime"

_PATH = "/usr/bin:/bin"
"""Of the machine's programs, which all runtimes have in common."""
_PROGRAMS = (
    "awk bash bzip2 cmake convert curl dot exiftool ffmpeg file find g++ gcc gfortran ghostscript gs git grep gzip "
    "inkscape java jq latex less libreoffice make node pandoc patch pdflatex pdftotext perl php qpdf R rg ruby rustc "
    "sed sqlite3 tar tesseract unzip wget xelatex xz zip zstd"
).split()
"""Those that a model may ask for."""


class Choices:
    """The runtimes of one server."""

    def __init__(self, settings: Settings, placement: Placement) -> None:
        self._settings = settings
        self._placement = placement
        self._built = Runtimes(settings.state_dir / FOLDER)

    def chosen(self, asked: str | None, container: Container | None, ruled: str | None = None) -> str:
        """The name of the runtime for a request that names the container, or is to have a new one. `ruled` is what its
        model has (`Traits`).

        Raises NotFound where there is none of the name that is asked for (any more), InvalidRequest where the container
        has another one, RuntimeUnavailable where the server's own choice is not there.
        """
        if container is not None:
            self._check(container, asked)
            return container.runtime
        name = asked if asked is not None else ruled or self._settings.default_runtime
        if name != DEFAULT:
            try:
                self._built.find(name)
            except NotFound as error:
                if asked is not None:
                    raise
                whose = "the table of models" if ruled else "BELLJAR_DEFAULT_RUNTIME"
                raise RuntimeUnavailable(
                    f"{error}. It is {whose} that names it; a request may name another one."
                ) from error
        return name

    def _check(self, container: Container, asked: str | None) -> None:
        if asked is not None and asked != container.runtime:
            raise InvalidRequest(
                f"runtime: the container {container.id} was made with the runtime {container.runtime!r}, which does "
                "not change in its life. Leave `runtime` out, or make a new container."
            )
        is_gone = container.runtime != DEFAULT and self._built.current_directory(container.runtime) is None
        if is_gone and container.state == "asleep":
            raise NotFound(
                f"runtime: the container {container.id} is asleep, and its runtime {container.runtime!r} was removed. "
                "Its files come back once there is a runtime of that name (belljar runtime create "
                f"{container.runtime}); or send the request without `container`."
            )

    def installed(self, name: str) -> Installed:
        """For the descriptions of the tools."""
        if name != DEFAULT:
            try:
                facts = self._built.find(name).facts
                return Installed(facts.python, facts.packages, facts.direct, facts.programs)
            except NotFound:
                # It was removed under a session that goes on: nobody knows any more what that has.
                return Installed(self._placement.description.python, {}, ())
        about = self._placement.description
        return Installed(about.python, about.packages, ())

    def all(self) -> RuntimeList:
        """Every runtime, the default one first. One whose build is broken is left out, as it cannot be used."""
        found = [self._default()]
        for name in self._built.names():
            try:
                found.append(self._document(self._built.find(name)))
            except BelljarError:
                continue
        return RuntimeList(data=found)

    def one(self, name: str) -> RuntimeDocument:
        """Raises NotFound."""
        return self._default() if name == DEFAULT else self._document(self._built.find(name))

    def _default(self) -> RuntimeDocument:
        about = self._placement.description
        tiers = [TierHealth(name=tier.name, state=tier.state, why=tier.why) for tier in self._placement.tiers]
        is_warm = bool(tiers) and all(tier.state != "warming" for tier in tiers)
        state: RuntimeState = "ready" if is_warm and self._placement.is_ready else "warming"
        return RuntimeDocument(
            name=DEFAULT,
            is_default=self._settings.default_runtime == DEFAULT,
            python=about.python,
            packages=about.packages,
            preload={name: list(modules) for name, modules in self._settings.preload.items()},
            not_preloaded=[],
            state=state,
            why="",
            tiers=tiers,
            programs=_programs(_in(self._settings.runtime / "bin")),
            built_at=None,
        )

    def _document(self, build: Build) -> RuntimeDocument:
        facts, now = build.facts, self._placement.runtimes.get(build.name)
        return RuntimeDocument(
            name=facts.name,
            is_default=self._settings.default_runtime == facts.name,
            python=facts.python,
            packages=facts.packages,
            preload={name: list(modules) for name, modules in facts.tiers.items()},
            not_preloaded=[
                NotPreloaded(module=report.module, kind=problem.kind, detail=problem.detail)
                for report in facts.modules
                for problem in report.problems
            ],
            state=now.state if now else "resting",
            why=now.why if now else "",
            tiers=[TierHealth(name=tier.name, state=tier.state, why=tier.why) for tier in now.tiers]
            if now
            else [],
            programs=_programs(facts.programs),
            built_at=facts.built_at,
        )


def _in(folder: Path) -> list[str]:
    """Commands that packages have brought: all that is not the interpreter's own."""
    own = ("python", "activate", "Activate", "deactivate", "pydoc", "pip", "easy_install", "2to3", "idle")
    try:
        return [name for name in os.listdir(folder) if not name.startswith(own)]
    except OSError:
        return []


def _programs(own: Iterable[str]) -> list[str]:
    return sorted({*own, *(name for name in _PROGRAMS if shutil.which(name, path=_PATH))})
