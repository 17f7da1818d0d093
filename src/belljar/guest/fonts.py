"""Letters of all scripts in charts, from the fonts that the runtime brings along.

matplotlib shapes text itself (joins Arabic, reorders Hindi, turns Hebrew round) and tries a list of fonts for what the
first one lacks. That list is made here, for each text: what the code asked for, matplotlib's own DejaVu Sans, and the
fonts of the scripts that the text is written in. A text in Latin, Greek or Cyrillic letters opens no other font than
before. Whatever the code or a style sets as the family, the rest of the list stays.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import unicodedata
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from belljar.guest.families import FACES, NEVER_THERE, SCRIPTS, STANDS_IN

_FOLDER = os.path.join(sys.prefix, "share", "fonts")
"""Where `client/lay_fonts.py` lays them: NotoSansThai-Regular.ttf, NotoSansThai-Bold.ttf and so on."""

_LETTERS = tuple((name, re.compile(f"[{ranges}]")) for name, ranges in SCRIPTS)
_FOREIGN = re.compile(f"[{''.join(ranges for _, ranges in SCRIPTS)}]")
"""What DejaVu Sans lacks, wholly or in part."""

_HAN = "NotoSansCJK"
_TAGS = {1: "ko", 2: "zh-Hans", 3: "zh-Hant"}
"""For the bold font, which is a Japanese one that has the other forms as well."""
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")
_BOPOMOFO = re.compile("[\u3100-\u312f\u31a0-\u31bf]")

_MARKS = "\u200e\u200f"
"""Unseen, before words: they are part of a line that runs from left to right, or from right to left."""

_Fonts = tuple[tuple[str, int], ...]
_wanted: ContextVar[_Fonts] = ContextVar("wanted", default=())
"""Fonts for the text that is being laid out or drawn, each with the number of its face."""
_written: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""The face for Chinese characters in a figure that has kana or hangul somewhere."""


_DECIDING = tuple(
    f"font.{key}"
    for key in ("family style variant weight stretch size serif sans-serif cursive fantasy monospace".split())
)
"""What rcParams say of the font that is found."""
_MOST_REMEMBERED = 256

_RELIED_ON = (
    "FontPath FontEntry FontManager._find_fonts_by_props FontManager._findfont_cached FontManager._expand_aliases",
    "Text._get_layout Text.draw",
    "TextToPath.get_text_path",
    "Box Hlist FontInfo FontMetrics Parser.parse Parser.main Parser.non_math",
)
"""Of each of the modules that are changed."""


def hook_fonts() -> None:
    """Give matplotlib, whose figures are imported, these fonts; the stand-ins also where the runtime has none.

    Does nothing for one that is made otherwise than 3.11: before, it neither shaped text nor knew the faces of a
    collection, and another runtime may have a later one.
    """
    modules: Any = [
        sys.modules.get(f"matplotlib.{name}") for name in ("font_manager", "text", "textpath", "_mathtext")
    ]
    for module, names in zip(modules, _RELIED_ON, strict=True):
        for name in names.split():
            if not hasattr(functools.reduce(getattr, name.split(".")[:-1], module), name.rpartition(".")[2]):
                return
    manager, text, path, mathtext = modules
    text, path = text.Text, path.TextToPath
    _remember_tables()
    try:
        files = frozenset(os.listdir(_FOLDER))
    except OSError:
        files = frozenset()
    _name(manager, files)
    _find(manager, files)
    # Functions of modules that are methods of the one manager, bound before it was changed.
    manager.findfont = mathtext.findfont = manager.fontManager.findfont
    text._get_layout = _laid_out(text._get_layout)
    text.draw = _drawn(text.draw, manager)
    get_text_path = path.get_text_path

    @functools.wraps(get_text_path)
    def of_string(self: Any, prop: Any, s: str, *args: Any, **kwargs: Any) -> Any:
        if _wanted.get():  # it draws a text
            return get_text_path(self, prop, s, *args, **kwargs)
        with _wanting(_fonts_of(s, None)):
            return get_text_path(self, prop, s, *args, **kwargs)

    path.get_text_path = of_string
    _write_beside_formulas(mathtext, manager)


def _remember_tables() -> None:
    """Each text that is laid out asks for tables of its font twice, which are read out of the file each time."""
    font_class = sys.modules["matplotlib.ft2font"].FT2Font
    get_table = font_class.get_sfnt_table
    known: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()

    @functools.wraps(get_table)
    def get_sfnt_table(self: Any, name: str) -> Any:
        tables = known.setdefault(self, {})
        if name not in tables:
            tables[name] = get_table(self, name)
        table = tables[name]
        return None if table is None else dict(table)

    font_class.get_sfnt_table = get_sfnt_table


def _name(manager: Any, files: frozenset[str]) -> None:
    """Have our families found by name, and listed, as those of the machine are."""
    entries: list[Any] = []
    for name, _ in SCRIPTS:
        if name == _HAN:
            families = [(f"Noto Sans CJK {place}", face) for face, place in enumerate(FACES)]
        else:
            families = [(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name), 0)]
        for is_bold in (False, True):
            file, last_face = _file(name, is_bold=is_bold)
            if file in files:
                entries.extend(
                    manager.FontEntry(
                        fname=os.path.join(_FOLDER, file),
                        index=min(face, last_face),
                        name=family,
                        weight=700 if is_bold else 400,
                        size="scalable",
                    )
                    for family, face in families
                )
    manager.fontManager.ttflist.extend(entries)
    manager.fontManager._findfont_cached.cache_clear()


def _file(name: str, *, is_bold: bool) -> tuple[str, int]:
    """The name of a font's file, and the number of its last face."""
    if name == _HAN:
        return ("NotoSansCJK-Bold.otf", 0) if is_bold else ("NotoSansCJK-Regular.ttc", len(FACES) - 1)
    return f"{name}-{'Bold' if is_bold else 'Regular'}.ttf", 0


def _is_bold(manager: Any, prop: Any) -> bool:
    weight = prop.get_weight()
    return bool(manager.weight_dict.get(weight, weight) >= 600)


def _find(manager: Any, files: frozenset[str]) -> None:
    font_manager = manager.FontManager
    findfont, find_fonts = font_manager.findfont, font_manager._find_fonts_by_props
    plain = manager.FontProperties(family="DejaVu Sans")

    @functools.wraps(findfont)
    def find_one(
        self: Any, prop: Any, fontext: str = "ttf", directory: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if fontext == "ttf" and directory is None:
            prop = _with_stand_ins(manager, self, prop)
        return findfont(self, prop, fontext, directory, *args, **kwargs)

    def extended(self: Any, found: Any, prop: Any) -> Any:
        wanted = _wanted.get()
        is_dejavu = os.path.basename(found[0]).startswith("DejaVuSans")
        if is_dejavu and not wanted and len(found) == 1:
            return found
        if not is_dejavu:
            last = plain.copy()
            last.set_weight("bold" if _is_bold(manager, prop) else "normal")
            last.set_style(prop.get_style())
            found = [*found, self.findfont(last)]
        for name, face in wanted:
            for is_bold in sorted({_is_bold(manager, prop), False}, reverse=True):
                file, last_face = _file(name, is_bold=is_bold)
                if file in files:
                    path = manager._cached_realpath(os.path.join(_FOLDER, file))
                    found = [*found, manager.FontPath(path, min(face, last_face))]
                    break
        return list(dict.fromkeys(found))  # several of the families may have got the same one

    remembered: dict[Any, Any] = {}

    @functools.wraps(find_fonts)
    def find_all(
        self: Any, prop: Any, fontext: str = "ttf", directory: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if fontext != "ttf" or directory is not None:
            return find_fonts(self, prop, fontext, directory, *args, **kwargs)
        prop = manager.FontProperties._from_any(prop)
        # Each text asks several times. The code may add fonts, and change what rcParams say of them.
        said = [dict.__getitem__(manager.mpl.rcParams, name) for name in _DECIDING]
        decided = tuple(tuple(value) if isinstance(value, list) else value for value in said)
        key = self, len(self.ttflist), tuple(prop.__dict__.values()), _wanted.get(), decided
        if (found := remembered.get(key)) is None:
            plainly = find_fonts(self, prop, fontext, directory, *args, **kwargs)
            found = extended(self, plainly, prop)
            # Of one that is missing the log is told each time.
            if len(plainly) == len(prop.get_family()) and not args and not kwargs:
                if len(remembered) >= _MOST_REMEMBERED:
                    remembered.clear()
                remembered[key] = found
        return list(found)

    font_manager.findfont, font_manager._find_fonts_by_props = find_one, find_all


def _with_stand_ins(manager: Any, fonts: Any, prop: Any) -> Any:
    """The properties with families that are there in place of those that are not, where we know any."""
    prop = manager.FontProperties._from_any(prop)
    if prop.get_file() is not None:
        return prop
    families = tuple(prop.get_family())
    options = tuple(
        tuple(fonts._expand_aliases(family.lower())) if family.lower() in manager.font_family_aliases else ()
        for family in families
    )
    weights, names = _known_to(fonts)
    resolved = _resolved(families, options, names)
    asked = manager.weight_dict.get(prop.get_weight(), prop.get_weight())
    there = next(
        (weights[name.lower()] for name in (*resolved, *sum(options, ())) if name.lower() in weights), {asked}
    )
    if resolved == families and asked in there:
        return prop
    prop = prop.copy()
    prop.set_family(list(resolved))
    distances = sorted((abs(weight - asked), weight) for weight in there)
    if len(distances) == 1 or distances[0][0] < distances[1][0]:
        prop.set_weight(distances[0][1])  # which it would take as well, and say so each time
    return prop


_Known = tuple[dict[str, set[int]], frozenset[str]]
_known: weakref.WeakKeyDictionary[Any, tuple[int, _Known]] = weakref.WeakKeyDictionary()


def _known_to(fonts: Any) -> _Known:
    """The weights of each family that a font manager has, by its name in small letters, and these names."""
    count, known = _known.get(fonts, (-1, ({}, frozenset())))
    if count != len(fonts.ttflist):  # the code may add fonts
        weights: dict[str, set[int]] = {}
        for font in fonts.ttflist:
            weights.setdefault(font.name.lower(), set()).add(font.weight)
        known = weights, frozenset(weights)
        _known[fonts] = len(fonts.ttflist), known
    return known


@functools.lru_cache(256)
def _resolved(
    families: tuple[str, ...], options: tuple[tuple[str, ...], ...], known: frozenset[str]
) -> tuple[str, ...]:
    resolved = []
    for family, choices in zip(families, options, strict=True):
        if family.lower() in known or any(choice.lower() in known for choice in choices):
            resolved.append(family)
            continue
        stand_ins = [STANDS_IN.get(name.lower(), "") for name in (family, *choices)]
        if family.lower() in NEVER_THERE:
            stand_ins.append("DejaVu Sans")
        resolved.append(next((ours for ours in stand_ins if ours.lower() in known), family))
    return tuple(resolved)


@contextmanager
def _wanting(fonts: _Fonts) -> Iterator[None]:
    token = _wanted.set(fonts)
    try:
        yield
    finally:
        _wanted.reset(token)


def _fonts_of(text: str, figure: Any) -> _Fonts:
    """The fonts of the scripts of a text, which stands in a figure or in none."""
    if not _FOREIGN.search(text):
        return ()
    return tuple(
        (name, _face(text, figure) if name == _HAN else 0)
        for name, letters in _LETTERS
        if letters.search(text)
    )


def _face(text: str, figure: Any) -> int:
    """Where a text with Chinese characters is from, by what else is in it or in its figure."""
    for place, letters in enumerate((_KANA, _HANGUL)):
        if letters.search(text):
            if figure is not None:
                _written[figure] = min(place, _written.get(figure, place))
            return place
    if _BOPOMOFO.search(text):
        return FACES.index("TC")
    return _written.get(figure, FACES.index("SC")) if figure is not None else FACES.index("SC")


def _laid_out(get_layout: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(get_layout)
    def with_fonts(self: Any, renderer: Any) -> Any:
        if self._text.isascii() or not (fonts := _fonts_of(self._text, self.get_figure(root=True))):
            return get_layout(self, renderer)
        with _wanting(fonts):
            return get_layout(self, renderer)

    return with_fonts


def _drawn(draw: Callable[..., Any], manager: Any) -> Callable[..., Any]:
    @functools.wraps(draw)
    def with_fonts(self: Any, renderer: Any, *args: Any, **kwargs: Any) -> Any:
        if self._text.isascii() or not (fonts := _fonts_of(self._text, self.get_figure(root=True))):
            return draw(self, renderer, *args, **kwargs)
        tag = _TAGS.get(dict(fonts).get(_HAN, 0))
        with _wanting(fonts):
            if tag is None or self._language is not None or not _is_bold(manager, self._fontproperties):
                return draw(self, renderer, *args, **kwargs)
            self._language = tag
            try:
                return draw(self, renderer, *args, **kwargs)
            finally:
                self._language = None

    return with_fonts


def _write_beside_formulas(mathtext: Any, manager: Any) -> None:
    """Lay out the words beside a formula as other text is; letter by letter, as it is done, is right for Latin only."""

    class Words(mathtext.Box):  # type: ignore[misc]
        def __init__(self, text: str, state: Any) -> None:
            super().__init__(0.0, 0.0, 0.0)
            font = manager.get_font(manager.fontManager._find_fonts_by_props(state.fontset.default_font_prop))
            font.set_size(state.fontsize, state.dpi)
            flags = state.fontset.load_glyph_flags
            self.glyphs: list[tuple[float, float, Any]] = []
            width = height = depth = 0.0
            for item in font._layout(text, flags):
                if item.char in _MARKS:
                    continue  # laid out with the glyph of a space, but no width
                glyph = item.ft_object.load_glyph(item.glyph_index, flags=flags)
                xmin, ymin, xmax, ymax = (value / 64 for value in glyph.bbox)
                metrics = mathtext.FontMetrics(
                    advance=glyph.linearHoriAdvance / 65536,
                    height=glyph.height / 64,
                    width=glyph.width / 64,
                    xmin=xmin,
                    xmax=xmax,
                    ymin=ymin,
                    ymax=ymax,
                    iceberg=glyph.horiBearingY / 64,
                    slanted=False,
                )
                info = mathtext.FontInfo(
                    font=item.ft_object,
                    fontsize=state.fontsize,
                    postscript_name=item.ft_object.postscript_name,
                    metrics=metrics,
                    num=ord(item.char[0]),
                    glyph_index=item.glyph_index,
                    glyph=glyph,
                    offset=0,
                )
                self.glyphs.append((item.x, item.y, info))
                width = max(width, item.x + metrics.advance)
                height = max(height, item.y + ymax)
                depth = max(depth, -(item.y + ymin))
            self.width, self.height, self.depth = width, height, depth

        def render(self, output: Any, x: float, y: float, *_: float) -> None:
            # A box is drawn from its lower edge, letters from the line that they stand on.
            output.glyphs.extend((x + right, y - self.depth - up, info) for right, up, info in self.glyphs)

    parser = mathtext.Parser
    parse, main, non_math = parser.parse, parser.main, parser.non_math

    @functools.wraps(parse)
    def line(self: Any, s: str, *args: Any, **kwargs: Any) -> Any:
        self.is_from_right = _is_from_right(s)
        return parse(self, s, *args, **kwargs)

    @functools.wraps(main)
    def in_order(self: Any, toks: Any) -> Any:
        return [mathtext.Hlist(toks.as_list()[::-1])] if self.is_from_right else main(self, toks)

    @functools.wraps(non_math)
    def words(self: Any, toks: Any) -> Any:
        text = toks[0].replace(r"\$", "$")
        if not self.is_from_right and not _FOREIGN.search(text):
            return non_math(self, toks)
        mark = _MARKS[self.is_from_right]
        words = mathtext.Hlist([Words(mark + text, self.get_state())] if text else [], do_kern=False)
        self.push_state()
        self.get_state().font = manager.mpl.rcParams["mathtext.default"]
        return [words]

    parser.parse, parser.main, parser.non_math = line, in_order, words


def _is_from_right(text: str) -> bool:
    """Whether a line runs from right to left: its first letter with a direction says so (UAX #9, rules P2 and P3)."""
    kinds = (unicodedata.bidirectional(letter) for letter in re.sub(r"(?<!\\)\$.*?(?<!\\)\$", "", text))
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"
