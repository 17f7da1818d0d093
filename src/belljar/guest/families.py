"""Names: which of the runtime's fonts has which letters, and what is used for families that a machine may lack."""

from __future__ import annotations

SCRIPTS = (
    ("NotoSansArmenian", "\u0530-\u058f\ufb13-\ufb17"),
    ("NotoSansHebrew", "\u0590-\u05ff\ufb1d-\ufb4f"),
    ("NotoSansArabic", "\u0600-\u06ff\u0750-\u077f\u0870-\u08ff\ufb50-\ufdff\ufe70-\ufefc"),
    ("NotoSansDevanagari", "\u0900-\u097f\u1cd0-\u1cff\ua8e0-\ua8ff"),
    ("NotoSansBengali", "\u0980-\u09ff"),
    ("NotoSansGurmukhi", "\u0a00-\u0a7f"),
    ("NotoSansGujarati", "\u0a80-\u0aff"),
    ("NotoSansOriya", "\u0b00-\u0b7f"),
    ("NotoSansTamil", "\u0b80-\u0bff"),
    ("NotoSansTelugu", "\u0c00-\u0c7f"),
    ("NotoSansKannada", "\u0c80-\u0cff"),
    ("NotoSansMalayalam", "\u0d00-\u0d7f"),
    ("NotoSansSinhala", "\u0d80-\u0dff"),
    ("NotoSansThai", "\u0e00-\u0e7f"),
    ("NotoSansLao", "\u0e80-\u0eff"),
    ("NotoSansMyanmar", "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"),
    ("NotoSansGeorgian", "\u10a0-\u10ff\u1c90-\u1cbf\u2d00-\u2d2f"),
    ("NotoSansEthiopic", "\u1200-\u139f\u2d80-\u2ddf\uab00-\uab2f"),
    ("NotoSansKhmer", "\u1780-\u17ff\u19e0-\u19ff"),
    (
        "NotoSansCJK",
        "\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
        "\U00020000-\U0003ffff",
    ),
    ("NotoEmoji", "\u200d\u20e3\u2300-\u23ff\u2600-\u27bf\u2900-\u2bff\ufe0f\U0001f000-\U0001faff"),
    (
        "NotoSansSymbols",
        "\u20d0-\u20ff\u2300-\u23ff\u2460-\u24ff\u2600-\u27bf\u2900-\u2bff\U0001f100-\U0001f7ff",
    ),
)
"""By the name of the files that `client/lay_fonts.py` lays, in the order in which they are tried."""

FACES = ("JP", "KR", "SC", "TC", "HK")
"""Of the collection, in its order: the same letters, each in the form of another place."""

_STAND_INS = {
    "DejaVu Sans": (
        "Arial|Arial Black|Arial Narrow|Helvetica|Helvetica Neue|Verdana|Tahoma|Trebuchet MS|Calibri|Candara|"
        "Segoe UI|Roboto|Open Sans|Lato|Inter|Montserrat|Poppins|Ubuntu|Cantarell|Source Sans Pro|"
        "Source Sans 3|Fira Sans|Noto Sans|Liberation Sans|Nimbus Sans|FreeSans|Bitstream Vera Sans|"
        "Lucida Grande|Geneva|Futura|Avenir|Gill Sans|Century Gothic|Impact|Franklin Gothic Medium|"
        "San Francisco|SF Pro Display|SF Pro Text|IBM Plex Sans|Droid Sans|Comic Sans MS|Comic Neue|xkcd|"
        "xkcd Script|Humor Sans|"
        # Those of scripts of which the letters come from our fonts, so that Latin ones beside them stay as they are.
        "Amiri|Cairo|Tajawal|Almarai|Traditional Arabic|Simplified Arabic|Sakkal Majalla|Geeza Pro|"
        "Scheherazade New|Noto Naskh Arabic|Noto Kufi Arabic|Vazirmatn|Vazir|B Nazanin|David|Miriam|Mangal|"
        "Nirmala UI|Kokila|Aparajita|Lohit Devanagari|Kohinoor Devanagari|Hind|Poppins Devanagari|"
        "Noto Serif Devanagari|TH Sarabun New|Sarabun|Leelawadee|Leelawadee UI|Garuda|Loma|Kanit|Prompt|"
        "Angsana New|Cordia New|Latha|Vijaya|Vrinda|Shonar Bangla|SolaimanLipi|Kalpurush"
    ),
    "DejaVu Serif": (
        "Times New Roman|Times|Georgia|Cambria|Garamond|Palatino|Palatino Linotype|Book Antiqua|Baskerville|"
        "Constantia|Noto Serif|Liberation Serif|Nimbus Roman|FreeSerif|Computer Modern Roman|"
        "Bitstream Vera Serif"
    ),
    "DejaVu Sans Mono": (
        "Courier New|Courier|Consolas|Menlo|Monaco|SF Mono|Lucida Console|Source Code Pro|Fira Code|"
        "Fira Mono|JetBrains Mono|Ubuntu Mono|Roboto Mono|IBM Plex Mono|Noto Sans Mono|Noto Mono|"
        "Liberation Mono|Inconsolata|Andale Mono|Cascadia Code|Cascadia Mono|FreeMono|Nimbus Mono PS|"
        "Bitstream Vera Sans Mono"
    ),
    "Noto Sans CJK SC": (
        "SimHei|SimSun|NSimSun|Microsoft YaHei|Microsoft YaHei UI|PingFang SC|Heiti SC|STHeiti|STSong|"
        "STKaiti|STFangsong|STXihei|Songti SC|Kaiti SC|KaiTi|FangSong|YouYuan|LiSu|DengXian|Hiragino Sans GB|"
        "WenQuanYi Micro Hei|WenQuanYi Zen Hei|Source Han Sans|Source Han Sans CN|Source Han Sans SC|"
        "Source Han Serif SC|Noto Sans SC|Noto Serif SC|Noto Serif CJK SC|Noto Sans CJK|AR PL UMing CN|"
        "AR PL UKai CN|Droid Sans Fallback|Arial Unicode MS|LXGW WenKai|SimHei-Regular"
    ),
    "Noto Sans CJK TC": (
        "Microsoft JhengHei|Microsoft JhengHei UI|PingFang TC|PingFang HK|Heiti TC|LiHei Pro|MingLiU|"
        "PMingLiU|DFKai-SB|BiauKai|Source Han Sans TC|Noto Sans TC|Noto Sans HK|Noto Serif CJK TC|Songti TC"
    ),
    "Noto Sans CJK JP": (
        "IPAexGothic|IPAGothic|IPAPGothic|IPAexMincho|IPAMincho|Hiragino Sans|Hiragino Kaku Gothic Pro|"
        "Hiragino Kaku Gothic ProN|Hiragino Maru Gothic Pro|Hiragino Maru Gothic ProN|Hiragino Mincho ProN|"
        "Yu Gothic|Yu Mincho|Meiryo|Meiryo UI|MS Gothic|MS PGothic|MS UI Gothic|MS Mincho|Osaka|TakaoGothic|"
        "TakaoPGothic|TakaoExGothic|VL Gothic|VL PGothic|Noto Sans JP|Noto Serif JP|Noto Serif CJK JP|"
        "Source Han Sans JP|Source Han Sans Japanese|M PLUS 1p|Mplus 1p|Kosugi|Sawarabi Gothic"
    ),
    "Noto Sans CJK KR": (
        "Malgun Gothic|NanumGothic|Nanum Gothic|NanumGothicCoding|NanumBarunGothic|NanumSquare|NanumMyeongjo|"
        "AppleGothic|AppleMyungjo|Apple SD Gothic Neo|Gulim|Dotum|Batang|UnDotum|UnBatang|Noto Sans KR|"
        "Noto Serif KR|Noto Serif CJK KR|Source Han Sans KR|Source Han Sans K|Baekmuk Gulim|Pretendard"
    ),
    "Noto Emoji": (
        "Noto Color Emoji|Segoe UI Emoji|Segoe UI Symbol|Apple Color Emoji|Twemoji|Twitter Color Emoji|"
        "EmojiOne|EmojiOne Color|OpenMoji|Symbola"
    ),
}
STANDS_IN = {name.lower(): ours for ours, names in _STAND_INS.items() for name in names.split("|")}
"""For families that programs ask for, in small letters: what is there instead, and used without a warning."""

NEVER_THERE = {"cursive", "fantasy"}
"""Generic families of which matplotlib brings no font at all."""
