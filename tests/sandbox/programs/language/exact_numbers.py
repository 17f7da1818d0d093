"""Computes exactly: decimals, fractions, large integers, statistics, random numbers from a seed."""

import cmath
import decimal
import fractions
import itertools
import math
import random
import statistics
from collections import Counter

with decimal.localcontext() as context:
    context.prec = 60
    assert str(decimal.Decimal(2).sqrt()).startswith("1.41421356237309504880168872420969807856967187537694")
assert decimal.Decimal("0.1") + decimal.Decimal("0.2") == decimal.Decimal("0.3")
assert decimal.Decimal("2.675").quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP) == decimal.Decimal(
    "2.68"
)
assert sum(fractions.Fraction(1, n) for n in range(1, 11)) == fractions.Fraction(7381, 2520)
assert fractions.Fraction(math.pi).limit_denominator(1000) == fractions.Fraction(355, 113)
assert len(str(math.factorial(1000))) == 2568
assert pow(3, 10**18, 10**9 + 7) == pow(pow(3, 10**9, 10**9 + 7), 10**9, 10**9 + 7)
assert math.isqrt(10**40) == 10**20
data = [2, 4, 4, 4, 5, 5, 7, 9]
assert (statistics.mean(data), statistics.pstdev(data), statistics.median(data)) == (5, 2, 4.5)
assert statistics.mode(data) == 4
line = statistics.linear_regression([1, 2, 3], [2, 4, 6])
assert (round(line.slope, 9), round(line.intercept, 9)) == (2, 0)
assert abs(statistics.NormalDist().cdf(1.96) - 0.975) < 0.001
assert abs(cmath.exp(1j * math.pi) + 1) < 1e-15
assert math.fsum([0.1] * 10) == 1.0
random.seed(42)
first = [random.random() for _ in range(5)]
random.seed(42)
assert [random.random() for _ in range(5)] == first
assert random.Random(1).randint(1, 100) == 18
assert len(list(itertools.permutations(range(6)))) == 720
assert Counter("mississippi").most_common(1) == [("i", 4)]
assert float("inf") > 1e308
assert math.isnan(float("nan"))
print("done")
