"""Uses each library a little, so that what it builds at its first use is there already.

The zygote does so once, before it is forked: tables of sympy's, matplotlib's fonts, the parts of pandas that are
imported when they are needed. A parked guest does a part of it again, while nobody waits: then the pages that such
work writes to are its own already. Nothing of it is to be seen afterwards, and a library that fails here will say so
when the user's code uses it.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

_PANGRAMS = (
    "Sphinx of black quartz, judge my vow 0123456789 ±×·µ€",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
    "Съешь же ещё этих мягких французских булок",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "صِف خَلقَ خَودٍ כמו גם דג סקרן",
    "天地玄黃 いろは 다람쥐 ऋषियों เป็นมนุษย์",
)
_TABLE = "\n".join(
    [
        "day,place,kind,amount,share",
        *(f"2021-{1 + n % 12:02}-{1 + n % 28:02},p{n % 7},k{n % 3},{n},{n / 3:.2f}" for n in range(400)),
    ]
)


_done: set[str] = set()


def prepare() -> dict[str, str]:
    """In the zygote: use each library that is loaded, but not in the tier before. Returns what failed, by step."""
    before = _open_files()
    new = {name: step for name, step in _STEPS.items() if name not in _done}
    _done.update(name for name, (module, _) in new.items() if module in sys.modules)
    failed = _run(new)
    if ssl := sys.modules.get("_ssl"):
        # OpenSSL finds and sets up its parts now; that each fork has to draw anew it knows itself.
        ssl.RAND_bytes(1)
    gc.collect()
    if left := _open_files() - before:
        failed["descriptors"] = f"a guest has none of what was left open: {', '.join(sorted(left))}"
    return failed


def _open_files() -> set[str]:
    names = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that the list was read by
            names.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
    return names


def rehearse() -> None:
    """In a parked guest: use those of which the first use is much slower than the next. Charts are not."""
    _run(_REHEARSED)


def _run(steps: dict[str, tuple[str, Callable[[Any], None]]]) -> dict[str, str]:
    failed = {}
    for name, (module, step) in steps.items():
        if module not in sys.modules:
            continue
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                step(sys.modules[module])
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    _close_fonts()
    return failed


def _close_fonts() -> None:
    """Let go of the files of fonts, which matplotlib keeps open: a guest is born without them."""
    loaded: Any = sys.modules.get
    if font_manager := loaded("matplotlib.font_manager"):
        font_manager._get_font.cache_clear()
    if mathtext := loaded("matplotlib.mathtext"):
        mathtext.MathTextParser._parse_cached.cache_clear()


def _arrays(numpy: Any) -> None:
    values = numpy.linspace(0.5, 7.5, 240).reshape(12, 20)
    numpy.linalg.solve(values[:, :12] + numpy.eye(12), values[:, 0])
    numpy.percentile(numpy.sort(values, axis=None), [5, 50, 95])
    repr((values @ values.T).mean(axis=0).round(3))
    numpy.where(values > 3, numpy.exp(-values), numpy.cumsum(values, axis=1))


def _tables(pandas: Any) -> None:
    table = pandas.read_csv(io.StringIO(_TABLE), parse_dates=["day"])
    table["rate"] = table["amount"] / (1 + table["share"])
    table["label"] = table["place"].str.upper() + "-" + table["kind"]
    grouped = table.groupby(["place", "kind"])["amount"].agg(["sum", "mean", "count"]).reset_index()
    table.groupby("place")["rate"].median().sort_values(ascending=False).head(3).to_dict()
    merged = table.merge(grouped, on=["place", "kind"], how="left").sort_values(["day", "place"])
    merged.pivot_table(index="place", columns="kind", values="share", aggfunc="mean", fill_value=0)
    merged[(merged["amount"] > 20) & merged["day"].dt.month.isin([2, 5])].drop_duplicates("label").fillna(0)
    table.set_index("day")["amount"].resample("MS").sum().rolling(3).mean()
    for shown in (table.head(), table.describe(), grouped, table.dtypes, table["place"].value_counts()):
        repr(shown)
    table.info(buf=io.StringIO())
    table.head(40).to_csv(io.StringIO(), index=False)
    repr(table.isna().sum())


def _charts(pyplot: Any) -> None:
    from belljar.guest import charts  # which a tier without charts does without

    try:
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(7, 3))
        left.plot([0, 1, 2, 3], [2.5, 1.25, 3.75, 0.5], marker="o", linestyle="--", label="one")
        left.scatter([0, 1, 2], [1, 0, 2], label="two")
        left.set(xlabel=r"length $x_0$", ylabel="height", title="warm-up")
        left.grid(True, alpha=0.4)
        left.legend()
        right.bar(["a", "b", "c"], [3, 1, 2])
        right.tick_params(axis="x", rotation=30)
        figure.suptitle("both")
        figure.tight_layout()
        figure.savefig(io.BytesIO(), format="png")
        charts.facts(figure)
    finally:
        pyplot.close("all")


def _scripts(pyplot: Any) -> None:
    """Find the fonts for the letters of the world, once."""
    try:
        figure, axes = pyplot.subplots(figsize=(4, 3))
        for row, text in enumerate(_PANGRAMS):
            for weight in ("normal", "bold"):
                axes.text(0, row, text, weight=weight)
        axes.hist([1, 2, 2, 3, 5], bins=4)
        axes.pcolormesh([[1, 2], [3, 4]])
        pyplot.pie([1, 2, 3], labels=["a", "b", "c"], autopct="%1.0f%%")
        figure.savefig(io.BytesIO(), format="png", bbox_inches="tight")
    finally:
        pyplot.close("all")


def _numerics(optimize: Any) -> None:
    optimize.minimize(lambda x: (x[0] - 0.3) ** 2 + (x[1] + 1.7) ** 4, [4.0, 4.0])
    optimize.minimize(lambda x: (x[0] - 0.3) ** 2, [4.0], method="Nelder-Mead")
    optimize.brentq(lambda x: x**3 - 2, 0, 3)
    optimize.curve_fit(lambda x, a, b: a * x + b, [0.0, 1.0, 2.0, 3.0], [0.9, 3.1, 4.9, 7.2])


def _integrals(integrate: Any) -> None:
    integrate.quad(lambda x: x / (1 + x**4), 0, 3)
    integrate.solve_ivp(lambda t, y: [-0.7 * y[0]], (0, 2), [1.5])


def _statistics(stats: Any) -> None:
    stats.linregress([0, 1, 2, 3], [1.1, 2.9, 5.2, 6.8])
    stats.ttest_ind([1.0, 2.5, 3.0, 4.5], [2.0, 3.5, 5.0, 4.0])
    stats.norm.ppf(0.9)


def _symbols(sympy: Any) -> None:
    a, b = sympy.symbols("warm_a warm_b")
    sympy.integrate(a * sympy.cos(3 * a) + 1 / (a**2 + 4), a)
    sympy.integrate(sympy.exp(-2 * a) * a, (a, 0, sympy.oo))
    sympy.solve(a**3 - 7 * a + 6, a)
    sympy.solve([2 * a + b - 4, a - 3 * b + 5], [a, b])
    sympy.diff(sympy.log(a**2 + b) * sympy.tan(b), b)
    sympy.simplify((sympy.sin(a) ** 2 + sympy.cos(a) ** 2) * (b**2 - 1) / (b - 1))
    sympy.limit(sympy.sin(5 * a) / a, a, 0)
    sympy.series(sympy.exp(a) * sympy.sin(a), a, 0, 5)
    sympy.Matrix([[2, 1], [1, 3]]).eigenvals()
    sympy.latex(sympy.Rational(3, 7) * sympy.sqrt(a))
    sympy.pretty(a**2 / (1 + b))
    sympy.lambdify(a, a**2 + sympy.sqrt(a))(2.0)
    repr(sympy.N(sympy.pi, 30))


def _statistical_charts(seaborn: Any) -> None:
    pandas = sys.modules["pandas"]
    pyplot = sys.modules["matplotlib.pyplot"]
    try:
        table = pandas.DataFrame({"x": [1, 2, 3, 4] * 3, "y": [2, 1, 4, 3] * 3, "k": ["u", "v", "w"] * 4})
        seaborn.scatterplot(table, x="x", y="y", hue="k")
        pyplot.figure()
        seaborn.heatmap(table[["x", "y"]].corr(), annot=True)
        pyplot.figure()
        seaborn.boxplot(table, x="k", y="y")
        pyplot.gcf().savefig(io.BytesIO(), format="png")
    finally:
        pyplot.close("all")


def _workbooks(openpyxl: Any) -> None:
    written = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["a", 1, 2.5])
    book.save(written)
    written.seek(0)
    openpyxl.load_workbook(written)["Sheet"]["A1"].value  # noqa: B018


_REHEARSED: dict[str, tuple[str, Callable[[Any], None]]] = {
    "arrays": ("numpy", _arrays),
    "tables": ("pandas", _tables),
}
_STEPS: dict[str, tuple[str, Callable[[Any], None]]] = {
    **_REHEARSED,
    "charts": ("matplotlib.pyplot", _charts),
    "scripts": ("matplotlib.pyplot", _scripts),
    "numerics": ("scipy.optimize", _numerics),
    "integrals": ("scipy.integrate", _integrals),
    "statistics": ("scipy.stats", _statistics),
    "symbols": ("sympy", _symbols),
    "statistical charts": ("seaborn", _statistical_charts),
    "workbooks": ("openpyxl", _workbooks),
}
