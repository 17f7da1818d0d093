"""Statistical charts, with regression and bootstrapped intervals."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(3)
frame = pd.DataFrame({"x": rng.normal(size=200), "kind": ["a", "b"] * 100})
frame["y"] = frame["x"] * 2 + rng.normal(size=200)
sns.set_theme()
for name, drawn in {
    "pairs": sns.pairplot(frame, hue="kind"),
    "regression": sns.lmplot(frame, x="x", y="y", n_boot=100),
    "violins": sns.catplot(frame, x="kind", y="y", kind="violin"),
    "clusters": sns.clustermap(np.corrcoef(rng.normal(size=(8, 50)))),
}.items():
    drawn.savefig(f"{name}.png", dpi=50)
    assert Path(f"{name}.png").stat().st_size > 1000
print("ok")
