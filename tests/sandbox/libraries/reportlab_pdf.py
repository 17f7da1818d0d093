"""PDFs of flowing text with tables and charts."""

from pathlib import Path

from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.shapes import Drawing
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

style = getSampleStyleSheet()["Normal"]
chart = VerticalBarChart()
chart.data = [(1, 5, 3)]
drawing = Drawing(400, 200)
drawing.add(chart)
story = [Paragraph(f"Paragraph {n} " * 30, style) for n in range(50)]
SimpleDocTemplate("report.pdf", pagesize=A4).build(
    [*story, PageBreak(), Table([["a", "b"], [1, 2]]), drawing]
)
content = Path("report.pdf").read_bytes()
assert content.startswith(b"%PDF")
assert content.rstrip().endswith(b"%%EOF")
print("ok")
