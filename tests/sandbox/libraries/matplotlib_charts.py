"""Charts as PNG, SVG, PDF and JPEG, a font cache made anew, an animation and a map of colours."""

import os
from pathlib import Path

os.environ["MPLCONFIGDIR"] = os.path.abspath("matplotlib-cache")
import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import animation, font_manager

x = np.linspace(0, 10, 500)
figure, axes = plt.subplots(2, 2, figsize=(8, 6), layout="constrained")
axes[0, 0].plot(x, np.sin(x), label=r"$\sin(x)$")
axes[0, 0].legend()
axes[0, 1].hist(np.random.default_rng(1).normal(size=1000), bins=40)
axes[1, 0].bar(["Grüße", "日本", "b"], [1, 3, 2])
axes[1, 1].imshow(np.outer(np.sin(x), np.cos(x)), cmap="viridis")
magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "jpg": b"\xff\xd8\xff"}
for kind, begins in magic.items():
    figure.savefig(f"chart.{kind}", dpi=80)
    assert Path(f"chart.{kind}").read_bytes().startswith(begins), kind
plt.close(figure)
figure, axis = plt.subplots()
(line,) = axis.plot(x, np.sin(x))
animation.FuncAnimation(figure, lambda i: line.set_ydata(np.sin(x + i / 5)) or (line,), frames=5).save(
    "wave.gif", writer="pillow"
)
assert Path("wave.gif").read_bytes().startswith(b"GIF89a")
assert font_manager.fontManager.findfont("DejaVu Sans").endswith(".ttf")
print("ok")
