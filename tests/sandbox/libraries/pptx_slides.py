"""Slides with text, a chart and a table."""

from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

slides = Presentation()
first = slides.slides.add_slide(slides.slide_layouts[0])
first.shapes.title.text = "Quarter"
second = slides.slides.add_slide(slides.slide_layouts[5])
numbers = CategoryChartData()
numbers.categories = ["north", "south"]
numbers.add_series("sold", (19, 21))
area = (Inches(1), Inches(1), Inches(5), Inches(4))
second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *area, numbers)
slides.slides.add_slide(slides.slide_layouts[6]).shapes.add_table(2, 2, *area)
slides.save("quarter.pptx")
again = Presentation("quarter.pptx")
assert again.slides[0].shapes.title.text == "Quarter"
assert again.slides[1].shapes[1].has_chart
print("ok")
