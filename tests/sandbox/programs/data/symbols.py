"""Solves, differentiates, integrates and prints formulas with sympy."""

import sympy

x, y, n = sympy.symbols("x y n")
assert sympy.solve(x**2 - 5 * x + 6) == [2, 3]
assert sympy.diff(sympy.sin(x) ** 2) == 2 * sympy.sin(x) * sympy.cos(x)
assert sympy.integrate(sympy.exp(-(x**2)), (x, -sympy.oo, sympy.oo)) == sympy.sqrt(sympy.pi)
assert sympy.factor(x**3 - 1) == (x - 1) * (x**2 + x + 1)
assert sympy.limit(sympy.sin(x) / x, x, 0) == 1
assert sympy.series(sympy.exp(x), x, 0, 4).removeO() == 1 + x + x**2 / 2 + x**3 / 6
assert sympy.Matrix([[1, 2], [3, 4]]).det() == -2
assert sympy.summation(n, (n, 1, 100)) == 5050
f = sympy.Function("f")
assert sympy.dsolve(f(x).diff(x) - f(x)).rhs.has(sympy.exp(x))
assert sympy.isprime(2**61 - 1)
assert sympy.factorint(1001) == {7: 1, 11: 1, 13: 1}
assert str(sympy.pi.evalf(30)).startswith("3.14159265358979323846264338328")
assert sympy.latex(sympy.Rational(1, 2) * x) == r"\frac{x}{2}"
assert sympy.lambdify(x, x**2 + 1, "numpy")(3) == 10
assert sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2) == 1
print("done")
