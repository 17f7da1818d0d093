"""Which tier has ready what some code imports."""

from __future__ import annotations

from belljar.keeper.zygotes import needs_of, tier_of

TIERS = {
    "bare": ("math",),
    "tables": ("numpy", "pandas"),
    "charts": ("matplotlib.pyplot",),
    "all": ("scipy.stats",),
}
OWNERS = {
    "numpy": ["numpy"],
    "pandas": ["pandas"],
    "matplotlib": ["matplotlib"],
    "mpl_toolkits": ["matplotlib"],
    "scipy": ["scipy"],
    "sklearn": ["scikit-learn"],
    "seaborn": ["seaborn"],
    "six": ["six"],
}
REQUIRES = {
    "pandas": ["numpy"],
    "matplotlib": ["numpy", "pillow"],
    "scipy": ["numpy"],
    "scikit-learn": ["scipy", "joblib"],
    "joblib": ["scikit-learn"],  # a circle
    "seaborn": ["matplotlib", "pandas"],
}


def test_the_lowest_tier_that_has_all_that_a_name_builds_on() -> None:
    needs = needs_of(TIERS, OWNERS, REQUIRES)
    for imports, tier in {
        (): 0,
        ("math", "os", "nowhere"): 0,
        ("six",): 0,
        ("numpy",): 1,
        ("pandas", "math"): 1,
        ("matplotlib",): 2,
        ("mpl_toolkits",): 2,
        ("seaborn",): 2,
        ("scipy",): 3,
        ("sklearn", "numpy"): 3,
    }.items():
        assert tier_of(imports, needs) == tier, imports


def test_one_tier_or_none_is_the_first() -> None:
    assert needs_of({}, OWNERS, REQUIRES)["numpy"] == 0
    assert tier_of(["numpy"], needs_of({"one": ("numpy",)}, OWNERS, REQUIRES)) == 0
