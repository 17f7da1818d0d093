"""Bytes that are no UTF-8: the guess at their encoding."""

from __future__ import annotations

import pytest

from belljar.guest.charsets import guess

TEXTS = {
    "shift_jis": "名前,年齢,住所\n山田太郎,30,東京都千代田区\nカタカナとひらがな,5,大阪\n",
    "euc_jp": "名前,年齢,住所\n山田太郎,30,東京都千代田区\nカタカナとひらがな,5,大阪\n",
    "gb18030": "城市,人口,说明\n北京,2189,中国的首都和政治中心\n上海,2487,我们国家最大的城市\n",
    "big5": "城市,人口,說明\n臺北,260,這是我們的首都\n高雄,270,南部最大的港口城市\n",
    "euc_kr": "이름,나이,주소\n홍길동,30,서울특별시 강남구\n김영희,25,부산광역시\n",
    "cp1251": "Город,Население\nМосква,13 миллионов человек\nСанкт-Петербург,пять\n",
    "koi8_r": "Город,Население\nМосква,13 миллионов человек\nСанкт-Петербург,пять\n",
    "cp1252": "Straße;Größe;Preis\nMünchen;groß;5 €\nCafé “déjà vu”;naïve;l’été\n",
    "utf-16": "a,b\n1,ü\n",
}


@pytest.mark.parametrize(("name", "text"), TEXTS.items(), ids=list(TEXTS))
def test_text_in_many_encodings(name: str, text: str) -> None:
    found = guess(text.encode(name))
    assert found is not None
    assert text.encode(name).decode(found[0]) == text
    assert found[0] == name


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_without_a_mark(order: str) -> None:
    assert guess("name,größe\n".encode(order)) == (order, "")


def test_a_character_that_is_cut_off_does_no_harm() -> None:
    raw = TEXTS["gb18030"].encode("gb18030")
    found = guess(raw[:-2])
    assert found is not None
    assert found[0] == "gb18030"


def test_one_letter_is_enough_for_the_west() -> None:
    for word in ("café", "Zürich", "it’s", "señor", "5 €"):
        found = guess(f"name,{word},x\n".encode("cp1252"))
        assert found is not None
        assert found[0] == "cp1252", word


def test_what_is_no_text() -> None:
    assert guess(bytes(range(256)) * 4) is None
    assert guess(b"\0\0\0\1\2\3" * 10) is None
