"""Interactive charts as a page and as JSON."""

from pathlib import Path

import plotly.express as px
import plotly.graph_objects as go

figure = px.scatter(px.data.iris(), x="sepal_width", y="sepal_length", color="species")
figure.write_html("iris.html", include_plotlyjs=True)
assert Path("iris.html").stat().st_size > 1_000_000
assert len(figure.data) == 3
other = go.Figure(go.Bar(x=["a", "b"], y=[1, 2]))
other.write_json("bars.json")
assert '"bar"' in Path("bars.json").read_text()
print("ok")
