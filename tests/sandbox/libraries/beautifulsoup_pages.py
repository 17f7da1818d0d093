"""Web pages taken apart with each parser."""

from bs4 import BeautifulSoup

page = "<html><body><ul><li class='x'>one<li>two</ul><a href='/there'>go</a></body></html>"
for parser in ("html.parser", "lxml"):
    soup = BeautifulSoup(page, parser)
    assert [item.get_text(strip=True) for item in soup.find_all("li")][-1] == "two"
    assert soup.select_one("a[href]")["href"] == "/there"
    assert soup.select_one("li.x") is not None
print("ok")
