"""Draws, converts, filters and reads pictures with PIL, and text by a font of matplotlib's."""

import io
from pathlib import Path

import matplotlib
import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps, ImageSequence

picture = Image.new("RGB", (200, 100), "navy")
draw = ImageDraw.Draw(picture)
draw.ellipse((20, 20, 80, 80), fill="gold")
font = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), 20)
draw.text((90, 40), "Grüße", font=font, fill="white")
for name in ("p.png", "p.jpg", "p.gif", "p.bmp", "p.tiff", "p.webp", "p.ppm", "p.pdf", "p.ico"):
    picture.save(name)
    if name != "p.pdf":
        with Image.open(name) as read:
            read.load()
            assert read.size == (200, 100) or name == "p.ico"  # an icon has sizes of its own
small = ImageOps.contain(picture, (50, 50))
assert small.size == (50, 25)
assert picture.rotate(90, expand=True).size == (100, 200)
assert picture.filter(ImageFilter.GaussianBlur(3)).getpixel((0, 0)) == (0, 0, 128)
array = numpy.asarray(picture)
assert array.shape == (100, 200, 3)
assert Image.fromarray(array[::-1]).getpixel((50, 50)) == picture.getpixel((50, 49))
assert picture.convert("L").mode == "L"
assert picture.convert("CMYK").convert("RGB").size == picture.size
frames = [picture, ImageOps.invert(picture), picture.convert("L").convert("RGB")]
frames[0].save("film.gif", save_all=True, append_images=frames[1:], duration=50)
with Image.open("film.gif") as film:
    assert len(list(ImageSequence.Iterator(film))) == 3
buffer = io.BytesIO()
picture.save(buffer, "PNG", optimize=True)
exif = Image.Exif()
exif[0x010E] = "a description"
picture.save("exif.jpg", exif=exif)
with Image.open("exif.jpg") as read:
    assert read.getexif()[0x010E] == "a description"
try:
    Image.open(io.BytesIO(b"not a picture"))
except OSError:
    print("done")
