"""YAML read and written, tables as text, and templates."""

from pathlib import Path

import jinja2
import yaml
from tabulate import tabulate

data = {"name": "jar", "sizes": [1, 2.5, None], "nested": {"größe": True}}
Path("data.yaml").write_text(yaml.safe_dump(data, allow_unicode=True))
with open("data.yaml") as file:
    assert yaml.safe_load(file) == data
assert yaml.load("a: 1", Loader=yaml.CSafeLoader) == {"a": 1}
assert tabulate([["a", 1]], headers=["k", "v"], tablefmt="github").count("|") > 5
assert jinja2.Template("{% for size in sizes[:2] %}{{ size }};{% endfor %}").render(data) == "1;2.5;"
print("ok")
