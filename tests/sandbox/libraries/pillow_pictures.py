"""Pictures: made, drawn on, turned, and saved in each format that people send."""

from concurrent.futures import ThreadPoolExecutor

from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

picture = Image.new("RGB", (320, 200), "white")
draw = ImageDraw.Draw(picture)
draw.ellipse((20, 20, 180, 180), fill="navy")
draw.text((200, 90), "Größe", fill="black", font=ImageFont.load_default(20))
for kind in ("png", "jpeg", "webp", "gif", "tiff", "bmp", "ico", "pdf", "ppm"):
    picture.save(f"picture.{kind}")
    if kind not in ("pdf", "ico"):
        assert Image.open(f"picture.{kind}").convert("RGB").size == (320, 200)
if features.check("avif"):
    picture.save("picture.avif")
    assert Image.open("picture.avif").size == (320, 200)
with ThreadPoolExecutor(4) as pool:
    blurred = list(pool.map(lambda radius: picture.filter(ImageFilter.GaussianBlur(radius)), range(1, 9)))
assert len({image.tobytes() for image in blurred}) == 8
assert picture.rotate(90, expand=True).resize((100, 160)).getpixel((0, 0)) == (255, 255, 255)
frames = [Image.new("P", (10, 10), color) for color in range(5)]
frames[0].save("frames.gif", save_all=True, append_images=frames[1:], duration=50)
print("ok")
