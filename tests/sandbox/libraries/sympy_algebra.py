"""Symbolic algebra, and functions made of it."""

import sympy as sp

x, y = sp.symbols("x y")
assert sp.solve(x**2 - 5 * x + 6, x) == [2, 3]
assert sp.integrate(sp.exp(-(x**2)), (x, -sp.oo, sp.oo)) == sp.sqrt(sp.pi)
assert sp.diff(sp.sin(x) * sp.exp(x), x) == sp.exp(x) * sp.sin(x) + sp.exp(x) * sp.cos(x)
assert sp.limit(sp.sin(x) / x, x, 0) == 1
assert sp.Matrix([[1, 2], [3, 4]]).det() == -2
assert sp.factorint(2**61 - 1) == {2**61 - 1: 1}
function = sp.lambdify((x, y), x**2 + y, "numpy")
assert function(3, 1) == 10
assert sp.latex(sp.Rational(1, 3)) == r"\frac{1}{3}"
assert sp.N(sp.pi, 50) == sp.pi.evalf(50)
assert sp.dsolve(sp.Function("f")(x).diff(x) - sp.Function("f")(x)).rhs.has(sp.exp(x))
print("ok")
