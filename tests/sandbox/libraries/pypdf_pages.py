"""PDFs read, cut, joined and encrypted."""

from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen import canvas

drawn = canvas.Canvas("pages.pdf")
for number in range(5):
    drawn.drawString(100, 700, f"This is page {number}")
    drawn.showPage()
drawn.save()
reader = PdfReader("pages.pdf")
assert "page 3" in reader.pages[3].extract_text()
writer = PdfWriter()
for page in reader.pages[1:3]:
    writer.add_page(page.rotate(90))
writer.add_metadata({"/Title": "Two pages"})
writer.encrypt("secret", algorithm="AES-256")
writer.write("locked.pdf")
locked = PdfReader("locked.pdf", password="secret")
assert len(locked.pages) == 2
assert locked.metadata is not None
assert locked.metadata.title == "Two pages"
print("ok")
