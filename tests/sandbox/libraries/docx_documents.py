"""Word documents with headings, tables and pictures."""

import docx
from docx.shared import Inches
from PIL import Image

Image.new("RGB", (60, 40), "green").save("green.png")
document = docx.Document()
document.add_heading("Report", 0)
document.add_paragraph("The first ").add_run("bold").bold = True
table = document.add_table(rows=2, cols=3)
table.cell(1, 2).text = "cell"
document.add_picture("green.png", width=Inches(1))
document.save("report.docx")
again = docx.Document("report.docx")
assert again.paragraphs[0].text == "Report"
assert again.tables[0].cell(1, 2).text == "cell"
assert len(again.inline_shapes) == 1
print("ok")
