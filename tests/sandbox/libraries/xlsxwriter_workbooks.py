"""Workbooks with little memory, charts and pictures."""

import zipfile

import openpyxl
import xlsxwriter
from PIL import Image

Image.new("RGB", (50, 50), "red").save("red.png")
with xlsxwriter.Workbook("report.xlsx", {"constant_memory": True}) as book:
    sheet = book.add_worksheet("data")
    money = book.add_format({"num_format": "#,##0.00", "bold": True})
    for row in range(1000):
        sheet.write(row, 0, row, money)
    picture = book.add_worksheet("picture")
    picture.insert_image("B2", "red.png")
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "=data!$A$1:$A$100"})
    picture.insert_chart("D2", chart)
assert openpyxl.load_workbook("report.xlsx")["data"]["A1000"].value == 999
assert any(name.endswith("red.png") or "image1" in name for name in zipfile.ZipFile("report.xlsx").namelist())
print("ok")
