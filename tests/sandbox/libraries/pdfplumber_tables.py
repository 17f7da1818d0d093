"""Text, tables and pictures out of PDFs."""

import pdfplumber
from reportlab.platypus import SimpleDocTemplate, Table

table = Table(
    [["name", "sold"], ["north", "19"], ["south", "21"]], style=[("GRID", (0, 0), (-1, -1), 1, "black")]
)
SimpleDocTemplate("table.pdf").build([table])
with pdfplumber.open("table.pdf") as document:
    page = document.pages[0]
    assert page.extract_tables()[0][1:] == [["north", "19"], ["south", "21"]]
    assert "south" in page.extract_text()
    page.to_image(resolution=72).save("page.png")
print("ok")
