"""Workbooks with formulas, charts and styles, written as a stream too."""

import openpyxl
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font

book = openpyxl.Workbook()
sheet = book.active
for row in range(1, 101):
    sheet.append([f"item {row}", row, f"=B{row}*2"])
sheet["A1"].font = Font(bold=True)
chart = BarChart()
chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=10))
sheet.add_chart(chart, "E5")
book.save("book.xlsx")
again = openpyxl.load_workbook("book.xlsx")
assert again.active["C7"].value == "=B7*2"
assert again.active["A1"].font.bold
stream = openpyxl.Workbook(write_only=True)
long = stream.create_sheet("long")
for row in range(5000):
    long.append([row, row * row])
stream.save("long.xlsx")
rows = openpyxl.load_workbook("long.xlsx", read_only=True)["long"].iter_rows(values_only=True)
assert sum(row[0] for row in rows) == 12497500
print("ok")
