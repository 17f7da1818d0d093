"""Numbers of any precision."""

import mpmath

mpmath.mp.dps = 60
assert mpmath.nstr(mpmath.pi, 30) == "3.14159265358979323846264338328"
assert (
    abs(mpmath.quad(lambda x: mpmath.exp(-(x**2)), [-mpmath.inf, mpmath.inf]) - mpmath.sqrt(mpmath.pi))
    < 1e-50
)
assert abs(mpmath.findroot(lambda x: mpmath.cos(x) - x, 0.7) - mpmath.mpf("0.7390851332151606")) < 1e-15
assert mpmath.zeta(2) - mpmath.pi**2 / 6 < 1e-50
print("ok")
