"""The programs that are measured. None of them is like what zygotes and parked sessions warm up with."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

PRINT = "print(1+1)\n"

GROUP_BY = """
import pandas as pd
df = pd.read_csv("data.csv")
summary = df.groupby("region").agg(units=("units", "sum"), revenue=("revenue", "mean")).sort_values("units")
top = df[df["revenue"] > df["revenue"].quantile(0.9)].groupby(["region", "product"]).size().unstack(fill_value=0)
print(summary.round(2).to_string())
print(top.to_string())
"""

CHART = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
sales = [12, 15, 11, 18, 21, 25, 24, 28, 26, 31, 35, 40]
costs = [10, 11, 10, 13, 15, 17, 18, 19, 20, 22, 24, 27]
fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 6))
top.plot(months, sales, marker="o", label="Sales")
top.plot(months, costs, marker="s", linestyle="--", label="Costs")
top.set_title("Sales and costs by month")
top.set_ylabel("kEUR")
top.legend()
bottom.bar(months, [s - c for s, c in zip(sales, costs)], color="tab:green")
bottom.set_title("Profit")
bottom.set_ylabel("kEUR")
plt.tight_layout()
plt.savefig("chart.png", dpi=100)
print("saved")
"""

SYMBOLS = """
import sympy as sp
from scipy import optimize
x = sp.symbols("x")
for expression in (sp.sin(x) ** 3 * sp.cos(x), x**2 * sp.exp(-x), sp.log(x) / x, 1 / (x**2 + 2 * x + 5)):
    print(sp.integrate(expression, x))
print(sp.solve(x**4 - 5 * x**2 + 4, x))
rosen = lambda v: (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2
best = optimize.minimize(rosen, [-1.2, 1.0], method="BFGS")
print([round(float(v), 4) for v in best.x])
"""


def table(rows: int = 10_000) -> bytes:
    """A CSV file of sales."""
    dice = random.Random(7)  # noqa: S311 - the same rows every time
    lines = ["date,region,product,units,revenue"]
    for n in range(rows):
        units = dice.randint(1, 40)
        lines.append(
            f"2024-{1 + n % 12:02}-{1 + n % 28:02},{dice.choice(['north', 'south', 'east', 'west'])},"
            f"{dice.choice(['chair', 'desk', 'lamp', 'shelf'])},{units},{units * dice.uniform(9, 99):.2f}"
        )
    return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True)
class Workload:
    """One program and the files it reads."""

    name: str
    code: str
    files: dict[str, bytes] = field(default_factory=dict)


WORKLOADS = (
    Workload("print(1+1)", PRINT),
    Workload("group-by over a CSV of 10,000 rows", GROUP_BY, {"data.csv": table()}),
    Workload("chart to PNG", CHART),
    Workload("sympy integrals, scipy optimisation", SYMBOLS),
)
