"""Draws figures of many kinds and saves them as PNG, JPEG, SVG and PDF, with text in several scripts."""

import io
from pathlib import Path

import matplotlib
import matplotlib.animation
import matplotlib.pyplot as plt
import numpy

assert matplotlib.get_backend().lower() == "agg"
x = numpy.linspace(0, 10, 200)
figure, axes = plt.subplots(2, 3, figsize=(9, 6), layout="constrained")
axes[0, 0].plot(x, numpy.sin(x), label="sin")
axes[0, 0].legend()
axes[0, 1].scatter(x, numpy.cos(x), c=x)
axes[0, 2].bar(["ä", "б", "γ"], [1, 2, 3])
axes[1, 0].imshow(numpy.outer(x, x))
axes[1, 1].contourf(numpy.outer(numpy.sin(x), numpy.cos(x)))
axes[1, 2].set_title(r"$\int_0^\infty e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2}$")
axes[1, 2].hist(x % 3, bins=20)
figure.suptitle("Grüße, Привет, Γειά")
starts = {
    "png": b"\x89PNG",
    "jpg": b"\xff\xd8",
    "svg": b"<?xml",
    "pdf": b"%PDF",
}
for kind, start in starts.items():
    figure.savefig(f"figure.{kind}", dpi=60)
    assert Path(f"figure.{kind}").read_bytes().startswith(start), kind
buffer = io.BytesIO()
figure.savefig(buffer, format="png")
assert buffer.getvalue()[:4] == b"\x89PNG"
plt.close(figure)

surface = plt.figure().add_subplot(projection="3d")
surface.plot_surface(*numpy.meshgrid(x[::20], x[::20]), numpy.outer(x[::20], x[::20]))
plt.savefig("surface.png")
plt.close()
moving, axis = plt.subplots()
(line,) = axis.plot(x, x)
film = matplotlib.animation.FuncAnimation(moving, lambda n: line.set_data(x, x * n) or [line], frames=3)
film.save("film.gif", writer="pillow")
assert Path("film.gif").read_bytes()[:3] == b"GIF"
plt.close("all")
assert plt.get_fignums() == []
print("done")
