"""Draws with seaborn from a table of its own."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy
import pandas
import seaborn

rng = numpy.random.default_rng(1)
table = pandas.DataFrame({"group": list("abc") * 30, "x": rng.normal(size=90), "y": rng.normal(size=90)})
seaborn.set_theme(style="whitegrid")
figure, axes = plt.subplots(1, 3, figsize=(9, 3))
seaborn.boxplot(table, x="group", y="y", ax=axes[0])
seaborn.regplot(table, x="x", y="y", ax=axes[1])
seaborn.heatmap(table[["x", "y"]].corr(), annot=True, ax=axes[2])
figure.savefig("seaborn.png")
assert Path("seaborn.png").stat().st_size > 5000
grid = seaborn.relplot(table, x="x", y="y", hue="group", col="group", height=2)
grid.savefig("grid.svg")
assert "</svg>" in Path("grid.svg").read_text()
plt.close("all")
print("done")
