#!/usr/bin/env python3
"""Lays the fonts of a runtime into its share/fonts, where matplotlib, Pillow and reportlab can use them.

Run with the runtime's own Python, which has the packages that carry the fonts (locks/runtime-data.in) and fontTools.
Noto publishes one file for all weights of a script; matplotlib and reportlab know no such files, so a regular and a
bold one are cut out of each. Those for Chinese, Japanese and Korean are used as they are. What is there is made anew.
"""

import os
import re
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

TARGET = Path(sys.prefix, "share", "fonts")
WEIGHTS = {"Regular": 400, "Bold": 700}
LEFT_OUT = {"NotoSans", "NotoSans-Italic"}
"""Latin, Greek and Cyrillic: matplotlib's own DejaVu has them."""
AS_THEY_ARE = {
    "NotoSansCJK-Regular.ttc": "noto_cjk_sans_otc/NotoSansCJK-Regular.ttc",
    "NotoSansCJK-Bold.otf": "noto_cjk_sans_jp_bold/NotoSansCJKjp-Bold.otf",
}


def packaged(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        sys.exit(f"the runtime {sys.prefix} lacks the package of {module}: sync it with its lock first")
    return Path(spec.origin).parent


def cut(source: Path, style: str) -> None:
    """Write the font of one weight, named after itself, and the same to the byte each time."""
    font = TTFont(source, recalcTimestamp=False)
    instancer.instantiateVariableFont(font, {"wght": WEIGHTS[style]}, inplace=True)
    plain = source.name.partition("[")[0]
    family = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    for number in (16, 17, 21, 22, 25):  # the names within a family of many weights
        font["name"].removeNames(nameID=number)
    for number, text in ((1, family), (2, style), (4, f"{family} {style}"), (6, f"{plain}-{style}")):
        font["name"].removeNames(nameID=number)
        font["name"].setName(text, number, 3, 1, 0x409)
        font["name"].setName(text, number, 1, 0, 0)
    is_bold = style == "Bold"
    font["OS/2"].usWeightClass = WEIGHTS[style]
    # The bits for bold and regular: in OS/2 (fsSelection 5 and 6) and in head (macStyle 0).
    font["OS/2"].fsSelection = font["OS/2"].fsSelection & ~0b1100000 | (0b0100000 if is_bold else 0b1000000)
    font["head"].macStyle = font["head"].macStyle & ~1 | is_bold
    font.save(TARGET / f"{plain}-{style}.ttf")


def main() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    noto = packaged("manimgx_fonts")
    sources = [path for path in sorted(noto.glob("*.ttf")) if path.name.partition("[")[0] not in LEFT_OUT]
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for made in [pool.submit(cut, source, style) for source in sources for style in WEIGHTS]:
            made.result()
    for name, source in AS_THEY_ARE.items():
        module, _, file = source.partition("/")
        (TARGET / name).symlink_to(os.path.relpath(packaged(module) / file, TARGET))


if __name__ == "__main__":
    main()
