"""Charts in every script: letters joined and in order, in each place for text, whatever the family, and no warning.

What matplotlib draws is held against what Pillow draws of the same text in the font that is expected, by its own copy
of HarfBuzz and FreeType, and against what Pillow draws without shaping, which must look different.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jail import Session, opened

from belljar import link
from belljar.guest import families

pytestmark = pytest.mark.anyio

FONTS = "/opt/belljar/runtime/share/fonts"
SHAPED = {
    "Arabic": "مبيعات",
    "Persian": "پژواک",
    "Hebrew": "מכירות",
    "Devanagari": "क्षेत्रश्रृंखला",
    "Bengali": "বিক্রয়",
    "Tamil": "கொழுப்பு",
    "Thai": "น้ำปั่น",
    "Khmer": "ខ្មែរ",
    "Chinese": "季度销售额",
    "Japanese": "売上データ",
    "Korean": "분기별매출",
    "emoji": "🚀👨‍👩‍👧🇫🇷",
}
"""One word each, so that all of it comes from one font."""
DEJAVU = {"Arabic", "Persian", "Hebrew"}
"""Which it has, as the first of the list."""
FILES = {
    "Bengali": "NotoSansBengali",
    "Tamil": "NotoSansTamil",
    "Thai": "NotoSansThai",
    "Khmer": "NotoSansKhmer",
} | {
    "Devanagari": "NotoSansDevanagari",
    "emoji": "NotoEmoji",
}
FACES = {"Japanese": 0, "Korean": 1, "Chinese": 2}
MOVED_BY_SHAPING = {"Arabic", "Persian", "Hebrew", "Devanagari", "Bengali", "Tamil", "Khmer", "emoji"}
"""Those that are wrong when their letters stand side by side as they are written down."""

COMPARING = r"""
import logging, os, sys, warnings
warnings.simplefilter("error")
import matplotlib, matplotlib.pyplot as plt, numpy as np
from PIL import Image, ImageDraw, ImageFont, features
assert features.check("raqm")

def cropped(ink):
    rows, columns = np.where(ink.any(1))[0], np.where(ink.any(0))[0]
    return ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]

def by_matplotlib(text, weight, **more):
    with plt.rc_context({"text.hinting": "none"}):
        figure = plt.figure(figsize=(16, 3), dpi=72)
        figure.text(0.1, 0.4, text, fontsize=60, weight=weight, **more)
        figure.canvas.draw()
        grey = np.asarray(figure.canvas.buffer_rgba())[:, :, 0]
        plt.close(figure)
    return cropped(grey < 128)

def by_pillow(text, path, index, layout, language=None):
    font = ImageFont.truetype(path, 60, index=index, layout_engine=layout)
    image = Image.new("L", (1152, 216), 255)
    more = {"language": language} if language and layout == ImageFont.Layout.RAQM else {}
    ImageDraw.Draw(image).text((100, 60), text, font=font, fill=0, **more)
    return cropped(np.asarray(image) < 128)

def alike(one, other):
    "What both cover as a part of what either does, where they lie best upon one another."
    best = 0
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            height = max(one.shape[0], other.shape[0]) + 2
            width = max(one.shape[1], other.shape[1]) + 2
            a, b = np.zeros((height, width), bool), np.zeros((height, width), bool)
            a[1:1 + one.shape[0], 1:1 + one.shape[1]] = one
            b[1 + down:1 + down + other.shape[0], 1 + right:1 + right + other.shape[1]] = other
            best = max(best, (a & b).sum() / (a | b).sum())
    return round(float(best), 3)
"""


def expected(script: str, weight: str) -> tuple[str, int, str | None]:
    """The font that a script is drawn in, its face, and the language that it is told."""
    if script in DEJAVU:
        return f"DejaVuSans{'-Bold' if weight == 'bold' else ''}.ttf", 0, None
    if script in FACES:
        if weight == "bold":
            return f"{FONTS}/NotoSansCJK-Bold.otf", 0, {"Chinese": "zh-Hans", "Korean": "ko"}.get(script)
        return f"{FONTS}/NotoSansCJK-Regular.ttc", FACES[script], None
    return f"{FONTS}/{FILES[script]}-{'Bold' if weight == 'bold' else 'Regular'}.ttf", 0, None


async def compared(session: Session, ask: str) -> Any:
    await session.put("comparing.py", COMPARING.encode())
    result = await session.run(f"from comparing import *\nimport json\n{ask}", timeout=50)
    assert result.outcome.status == "completed", result.stderr
    assert result.stderr == ""
    return await session.value("print(json.dumps(found))")


@pytest.mark.parametrize("weight", ["normal", "bold"])
async def test_each_script_has_its_shapes(preloaded: link.Keeper, weight: str) -> None:
    asked = {script: (text, *expected(script, weight)) for script, text in SHAPED.items()}
    async with opened(preloaded) as session:
        found = await compared(
            session,
            f"""
found = {{}}
for script, (text, path, index, language) in {asked!r}.items():
    if not path.startswith("/"):
        path = os.path.join(matplotlib.get_data_path(), "fonts/ttf", path)
    drawn = by_matplotlib(text, {weight!r})
    shaped = by_pillow(text, path, index, ImageFont.Layout.RAQM, language)
    plain = by_pillow(text, path, index, ImageFont.Layout.BASIC)
    found[script] = alike(drawn, shaped), alike(drawn, plain)
""",
        )
    for script, (shaped, plain) in found.items():
        # Never the same to the pixel: each of the two sets letters into its own grid.
        assert shaped > 0.75, (script, shaped, plain)
        if script in MOVED_BY_SHAPING:
            assert plain < 0.55, (script, shaped, plain)


async def test_chinese_characters_have_the_forms_of_their_place(preloaded: link.Keeper) -> None:
    """A text of nothing else goes by what is in its figure beside it."""
    async with opened(preloaded) as session:
        found = await compared(
            session,
            f"""
path = {FONTS!r} + "/NotoSansCJK-Regular.ttc"
def best(beside):
    figure = plt.figure(figsize=(16, 3), dpi=72)
    figure.text(0.1, 0.4, "直骨", fontsize=60)
    figure.text(5, 5, beside)  # beyond the edge
    figure.canvas.draw()
    figure.canvas.draw()
    drawn = cropped(np.asarray(figure.canvas.buffer_rgba())[:, :, 0] < 128)
    plt.close(figure)
    scores = {{face: alike(drawn, by_pillow("直骨", path, face, ImageFont.Layout.RAQM)) for face in (0, 2)}}
    return max(scores, key=scores.get), min(scores.values()) < max(scores.values())
found = [best("年"), best("データ"), best("年")]
""",
        )
    assert found == [[2, True], [0, True], [2, True]]


TEXTS = {
    "ar": "مبيعات الربع الأول 2024 (مليون)",
    "he": "מכירות לפי רבעון, 2024",
    "zh": "2024年季度销售额（万元）",
    "ja": "四半期ごとの売上（百万円）",
    "ko": "분기별 매출 大韓民國",
    "hi": "तिमाही बिक्री ₹ क्षेत्र",
    "th": "ยอดขายรายไตรมาส น้ำ",
    "emoji": "🚀 📈 👨‍👩‍👧 🇫🇷 ❤️ 😀 ⭐ 1️⃣ ☀",
    "bn": "বাংলা বিক্রয়।",
    "ta": "தமிழ் விற்பனை",
    "many": "Ümsätze مبيعات (2024) 销售 हिन्दी 🚀 −5 €",
    "ka": "გაყიდვები ვაჭრობა",
    "am": "ሽያጭ በሩብ ዓመት",
}
EVERYWHERE = r"""
import warnings
warnings.simplefilter("error")
import matplotlib as mpl, matplotlib.pyplot as plt
from matplotlib.path import Path
from matplotlib.textpath import TextPath

def everywhere(text, **more):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.bar([text, text + "2"], [3, -4], label=text)
    left.set(xlabel=text, ylabel=text + "\n" + text)
    left.set_title(text, fontweight="bold")
    left.annotate(text, (0, 1), (0.5, 2), arrowprops={"arrowstyle": "->"})
    left.legend(title=text)
    right.pie([1, 2], labels=[text, text], autopct="%1.0f%%")
    right.set_title(f"{text} $x^2$ {text}")
    right.table([[text, text]], loc="bottom")
    figure.suptitle(text, style="italic")
    assert TextPath((0, 0), text, size=12).vertices.size
    for kind in ("png", "svg", "pdf"):
        figure.savefig(f"/tmp/chart.{kind}", bbox_inches="tight", **more)
    plt.close(figure)
"""
SETTINGS = {
    "as it is": "",
    "seaborn": "import seaborn as sns; sns.set_theme()",
    "a style": "plt.style.use('ggplot')",
    "defaults": "plt.rcdefaults()",
    "SimHei": "plt.rcParams['font.family'] = 'SimHei'; plt.rcParams['axes.unicode_minus'] = False",
    "a list": "plt.rcParams['font.sans-serif'] = ['SimHei']",
    "more lists": "plt.rcParams.update({'font.sans-serif': ['PingFang SC', 'Arial'], 'font.family': ['sans-serif']})",
    "Arial": "plt.rcParams['font.family'] = ['Arial', 'Segoe UI Emoji']",
    "Times": "mpl.rc('font', family='Times New Roman')",
    "a serif": "plt.rcParams['font.family'] = 'serif'; plt.rcParams['font.serif'] = ['Georgia']",
    "one of ours": "plt.rcParams['font.family'] = 'Noto Sans Devanagari'",
    "Japanese": "plt.rcParams.update({'font.family': 'IPAexGothic', 'axes.titleweight': 'bold'})",
    "weights": "plt.rcParams.update({'font.weight': 'bold', 'axes.titleweight': 'semibold', 'axes.labelweight': 500})",
    "cursive": "plt.rcParams['font.family'] = 'cursive'",
    "sketched": "plt.xkcd()",
    "types of PDF": "plt.rcParams.update({'pdf.fonttype': 42, 'svg.fonttype': 'none'})",
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
async def test_text_is_drawn_in_every_place_without_a_word(preloaded: link.Keeper, setting: str) -> None:
    """matplotlib warns where a letter is in none of the fonts, and logs a family that it does not find."""
    texts = TEXTS if setting == "" else {name: TEXTS[name] for name in ("many", "th", "emoji")}
    async with opened(preloaded) as session:
        result = await session.run(
            f"{EVERYWHERE}\n{setting}\nfor text in {[*texts.values()]!r}:\n    everywhere(text)", timeout=58
        )
        assert result.outcome.status == "completed", result.stderr
        assert (result.stdout, result.stderr) == ("", "")


async def test_a_letter_that_no_font_has_is_told(preloaded: link.Keeper) -> None:
    """Else the tests above could not fail. So is a family that nothing stands in for."""
    async with opened(preloaded) as session:
        result = await session.run("""
            import matplotlib.pyplot as plt
            plt.figure().text(0, 0, "\U00012000", family="No Such Family")
            plt.gcf().canvas.draw()
            plt.close()
        """)
    assert "CUNEIFORM" in result.stderr
    assert "No Such Family" in result.stderr


async def test_a_chart_in_latin_letters_is_what_it_was(preloaded: link.Keeper) -> None:
    """The same picture as by the methods that were there before, and no further font."""
    async with opened(preloaded) as session:
        same, paths = await session.value(r"""
            import json, matplotlib.pyplot as plt, numpy as np
            from matplotlib import font_manager
            from matplotlib.text import Text
            opened = []
            def picture():
                figure, axes = plt.subplots()
                axes.plot([1, -2, 3], label="Größe ≤ 5 µm, Ωmega, Съешь")
                axes.set_title(r"bold $\alpha_1$ and −2 € “quotes” … →", weight="bold")
                axes.legend()
                figure.canvas.draw()
                drawn = np.asarray(figure.canvas.buffer_rgba()).copy()
                plt.close(figure)
                return drawn
            find = font_manager.FontManager._find_fonts_by_props
            def noted(*args, **kwargs):
                opened.extend(found := find(*args, **kwargs))
                return found
            font_manager.FontManager._find_fonts_by_props = noted
            ours = picture()
            font_manager.FontManager._find_fonts_by_props = find.__wrapped__
            font_manager.FontManager.findfont = font_manager.FontManager.findfont.__wrapped__
            Text.draw, Text._get_layout = Text.draw.__wrapped__, Text._get_layout.__wrapped__
            print(json.dumps([bool((ours == picture()).all()), sorted(set(opened))]))
        """)
    assert same
    assert [Path(path).name for path in paths] == ["DejaVuSans-Bold.ttf", "DejaVuSans.ttf"]


async def test_words_beside_a_formula_are_shaped_too(preloaded: link.Keeper) -> None:
    """From the left, or from the right where the line begins in a script that is written so."""
    async with opened(preloaded) as session:
        found = await compared(
            session,
            """
found = []
for words, is_from_right in (("क्षेत्रश्रृंखला", False), ("季度销售额", False), ("مبيعات", True), ("מכירות", True)):
    plain = by_matplotlib(words, "normal")
    beside = by_matplotlib(words + " $h$", "normal")
    assert beside.shape[1] > plain.shape[1] + 20
    left, right = (cropped(part) for part in (beside[:, : plain.shape[1]], beside[:, -plain.shape[1] :]))
    found.append((alike(right if is_from_right else left, plain), alike(left if is_from_right else right, plain)))
""",
        )
    for there, elsewhere in found:
        assert there > 0.8
        assert elsewhere < 0.6


async def test_drawings_carry_their_letters(preloaded: link.Keeper) -> None:
    async with opened(preloaded) as session:
        fonts, text, paths = await session.value(r"""
            import json, re, matplotlib.pyplot as plt, pypdf
            figure = plt.figure()
            figure.text(0.1, 0.5, "销售 हिन्दी")
            figure.savefig("chart.pdf")
            figure.savefig("chart.svg")
            plt.close()
            page = pypdf.PdfReader("chart.pdf").pages[0]
            listed = [each.get_object() for each in page["/Resources"]["/Font"].get_object().values()]
            fonts = {str(font.get("/BaseFont") or font["/FontDescriptor"]["/FontName"]) for font in listed}
            svg = open("chart.svg").read()
            print(json.dumps([sorted(fonts), page.extract_text(), len(re.findall("<path id", svg))]))
        """)
    assert any("NotoSansCJK" in font for font in fonts)
    assert any("NotoSansDevanagari" in font for font in fonts)
    assert "销售" in text
    assert paths >= 6


WORDS = {
    "NotoSansDevanagari": "हिन्दी",
    "NotoSansBengali": "বাংলা",
    "NotoSansGurmukhi": "ਪੰਜਾਬੀ",
    "NotoSansGujarati": "ગુજરાતી",
    "NotoSansOriya": "ଓଡ଼ିଆ",
    "NotoSansTamil": "தமிழ்",
    "NotoSansTelugu": "తెలుగు",
    "NotoSansKannada": "ಕನ್ನಡ",
    "NotoSansMalayalam": "മലയാളം",
    "NotoSansSinhala": "සිංහල",
    "NotoSansThai": "ไทย",
    "NotoSansMyanmar": "မြန်မာ",
    "NotoSansEthiopic": "አማርኛ",
    "NotoSansKhmer": "ខ្មែរ",
    "NotoSansCJK": "中文",
    "NotoEmoji": "🚀",
    "NotoSansSymbols": "🄰",
}
OF_DEJAVU = {"NotoSansArmenian", "NotoSansHebrew", "NotoSansArabic", "NotoSansGeorgian", "NotoSansLao"}
"""Which has these itself, and ours only what it lacks of them."""


async def test_all_fonts_are_there_in_both_weights(preloaded: link.Keeper) -> None:
    assert WORDS.keys() | OF_DEJAVU == {name for name, _ in families.SCRIPTS}
    async with opened(preloaded) as session:
        fonts, files = await session.value(rf"""
            import json, os, sys, warnings, matplotlib.pyplot as plt, pypdf
            warnings.simplefilter("error")
            figure = plt.figure()
            for word in {[*WORDS.values()]!r}:
                for weight in ("normal", "bold"):
                    figure.text(0.1, 0.5, word, weight=weight)
            figure.savefig("/tmp/all.pdf")
            plt.close()
            page = pypdf.PdfReader("/tmp/all.pdf").pages[0]
            listed = [each.get_object() for each in page["/Resources"]["/Font"].get_object().values()]
            fonts = {{str(font.get("/BaseFont") or font["/FontDescriptor"]["/FontName"]) for font in listed}}
            print(json.dumps([[*fonts], os.listdir(sys.prefix + "/share/fonts")]))
        """)
    embedded = {font.rpartition("+")[2].replace("NotoSansCJKjp", "NotoSansCJK") for font in fonts}
    embedded = {font.replace("NotoSansCJKsc", "NotoSansCJK") for font in embedded}
    assert {f"{name}-{weight}" for name in WORDS for weight in ("Regular", "Bold")} <= embedded
    assert {Path(file).stem for file in files} == {
        f"{name}-{weight}" for name, _ in families.SCRIPTS for weight in ("Regular", "Bold")
    }


async def test_pillow_and_reportlab_use_the_fonts(preloaded: link.Keeper) -> None:
    async with opened(preloaded) as session:
        says = await session.says(r"""
            import os
            from PIL import Image, ImageDraw, ImageFont
            thai = ImageFont.truetype("NotoSansThai-Regular.ttf", 40)
            assert thai.getname() == ("Noto Sans Thai", "Regular"), thai.getname()
            assert thai.getlength("น้ำ") < sum(map(thai.getlength, "น้ำ"))  # marks take no place of their own
            bold = ImageFont.truetype("NotoSansCJK-Bold.otf", 40)
            assert bold.getbbox("销售")[2] > 70

            from reportlab.pdfbase import pdfmetrics
            from reportlab.pdfbase.ttfonts import TTFont
            from reportlab.pdfgen import canvas
            import pypdf
            for name in os.listdir("/opt/belljar/runtime/share/fonts"):
                if name.endswith(".ttf"):
                    pdfmetrics.registerFont(TTFont(name[:-4], f"/opt/belljar/runtime/share/fonts/{name}"))
            page = canvas.Canvas("page.pdf")
            page.setFont("NotoSansHebrew-Bold", 20)
            page.drawString(100, 700, "שלום")
            page.save()
            print(pypdf.PdfReader("page.pdf").pages[0].extract_text().strip())
        """)
    assert sorted(says) == sorted("שלום")
