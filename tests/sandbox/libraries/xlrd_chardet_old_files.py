"""Workbooks of the old kind (.xls), and text files that do not say how they are encoded."""

import base64
import zlib
from pathlib import Path

import chardet
import pandas as pd
import xlrd

# One sheet of three rows, as Excel 97 has it.
Path("old.xls").write_bytes(
    zlib.decompress(
        base64.b64decode(
            "eNrtWE1oE0EU/mazaZrQpklNhVYooWDV2ouo4CVdFbQXLdWDigia2m2RpGkJetCD1tYcBcGT0kuhFy9VL/6ggoIHD0JFD4ogJCq9"
            "9CQoKLRZ33vZranmkIAWlfmWefP2zXszb2fevN3ZF3PR/PTttgJ+Qg98KDpB1JXJFJWgdxMBtTsOs15dT8XR+KcQrKeFrPPjQePz"
            "AK8hr3cBBm6ZT4gC76kcwxj6RjN2fBWxW3xIKvYhQVRhiiRhtIpXzUJPCl0j9KZoPhS6UySXhSZIN6+OYs7q69rhRvERo0PawuB+"
            "74rNW5FsQQuecRRfuKJKun7syp5Kpv/OhnazATOgdeu1M3Y2mc4jRgs4gy9OHPjs7dTHcS1fXbkCyb+ulAcqyK8aJjAO54QEeI5y"
            "6htfKZEesrOpj2eG7EUKST9JuJBuJjliEztiZ4ZtE2qbud1MmPtMEj0dG7LT1Mu3ianhEOdp2deRFfu6UeK9geggmoSPStRHaMDF"
            "G59e7h/ot46LZFxyeSnjr2cn4eAiW5BxWFp8y7RLLDYLnZBe1wnfJjRGrlPd2d/iMnsnReeStHbSOFsFr6wNZfxG4nMLB+615z5Y"
            "m4if7S2ci82+tqbRQW+gQbLnaxLdqltdv8a4b3m1crPDO6Gtv2SKeiPi+u64r7UmLCEkbFRo6Y5nRy3fGe5csbWqYK3EmufjEY2v"
            "xDossgUfW7OdUcHOEB2e4fNGyF2TecrLPoOzk+F6RMFi9RjNuMPqlN9+IAQNDQ0NDQ0NDQ2N6qHk27b0JW+6Bw0+KwTc/zpLVIr6"
            "N8l/i4MYpes0HUz3IEN1Fmdrip+18CuvL1Wljfe/kHGYRs8ihQHxI1Vz/NJZT5U/T9WGkd+3hWodv1iLn394/O/yuNFi"
        )
    )
)
sheet = xlrd.open_workbook("old.xls").sheet_by_name("Verkäufe")
assert sheet.row_values(1) == ["Äpfel", 3.0, 2.5]
table = pd.read_excel("old.xls")
assert list(table.columns) == ["name", "menge", "день"]
assert table["menge"].tolist() == [3, -7]
assert table["name"].tolist() == ["Äpfel", "苹果"]

WORDS = {
    "shift_jis": "日本語の文章は、漢字と仮名で書かれています。売上は四半期ごとに集計されました。",
    "gb18030": "这是一个关于季度销售额的中文文件,其中包含了很多汉字和标点符号。",
    "windows-1251": "Съешь же ещё этих мягких французских булок, да выпей чаю; продажи по кварталам.",
    "utf-8": "Ünï: größer, élève, 売上",
}
for encoding, text in WORDS.items():
    Path("unknown.csv").write_bytes(f"name,text\na,{text}\n".encode(encoding))
    found = chardet.detect(Path("unknown.csv").read_bytes())["encoding"]
    assert pd.read_csv("unknown.csv", encoding=found, header=0, names=["name", "text"], usecols=[0, 1])[
        "text"
    ][0].startswith(text[:8]), (encoding, found)
print("ok")
