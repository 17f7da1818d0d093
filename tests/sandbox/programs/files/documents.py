"""Reads and writes the usual formats: CSV, JSON, XML, INI, TOML, HTML, mail, property lists."""

import base64
import configparser
import csv
import email
import html.parser
import json
import plistlib
import tomllib
import xml.dom.minidom
import xml.etree.ElementTree
import xml.sax
from email.message import EmailMessage
from pathlib import Path

rows = [{"name": 'Ä "quoted", and', "value": "1"}, {"name": "line\nbreak", "value": "2"}]
with open("t.csv", "w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, ["name", "value"])
    writer.writeheader()
    writer.writerows(rows)
with open("t.csv", newline="", encoding="utf-8") as file:
    assert list(csv.DictReader(file)) == rows
assert csv.Sniffer().sniff("a;b;c\n1;2;3\n").delimiter == ";"

data = {"text": "ü\n\u2028", "numbers": [1, 2.5, -3e10, True, None], "nested": {"a": [{}]}}
Path("t.json").write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")
assert json.loads(Path("t.json").read_text(encoding="utf-8")) == data
try:
    json.loads("{")
except json.JSONDecodeError as error:
    assert error.pos == 1

root = xml.etree.ElementTree.Element("root", version="1")
for number in range(3):
    xml.etree.ElementTree.SubElement(root, "item", id=str(number)).text = f"<{number}>"
xml.etree.ElementTree.ElementTree(root).write("t.xml", encoding="utf-8", xml_declaration=True)
tree = xml.etree.ElementTree.parse("t.xml")
assert [item.text for item in tree.findall("./item[@id]")] == ["<0>", "<1>", "<2>"]
assert xml.dom.minidom.parse("t.xml").documentElement.tagName == "root"
names = []


class Names(xml.sax.ContentHandler):
    def startElement(self, name, _):
        names.append(name)


xml.sax.parse("t.xml", Names())
assert names == ["root", "item", "item", "item"]

config = configparser.ConfigParser()
config["server"] = {"port": "80", "debug": "yes"}
with open("t.ini", "w") as file:
    config.write(file)
read = configparser.ConfigParser()
assert read.read("t.ini") == ["t.ini"]
assert read.getint("server", "port") == 80
assert read.getboolean("server", "debug")
assert tomllib.loads("[a]\nb = [1, 2]\nc = 2024-01-01")["a"]["b"] == [1, 2]


links = []


class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
        links.append((tag, dict(attrs).get("href")))


Links().feed("<p><a href='x'>&auml;</a>")
assert links == [("p", None), ("a", "x")]
message = EmailMessage()
message["Subject"] = "Grüße"
message.set_content("Text")
message.add_attachment(b"\0\1", maintype="application", subtype="octet-stream", filename="a.bin")
parsed = email.message_from_bytes(bytes(message), policy=email.policy.default)
assert parsed["Subject"] == "Grüße"
assert [part.get_content() for part in parsed.iter_attachments()] == [b"\0\1"]
assert plistlib.loads(plistlib.dumps({"a": [1, b"x"]})) == {"a": [1, b"x"]}
assert base64.b85decode(base64.b85encode(b"bytes")) == b"bytes"
print("done")
