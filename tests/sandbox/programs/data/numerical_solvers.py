"""Solves, minimizes, integrates, interpolates, filters and tests with scipy."""

import numpy
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.io
import scipy.linalg
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.sparse.linalg
import scipy.spatial
import scipy.stats

assert numpy.isclose(scipy.optimize.brentq(lambda x: x**2 - 2, 0, 2), 2**0.5)
rosen = scipy.optimize.minimize(scipy.optimize.rosen, [0, 0, 0], method="BFGS")
assert numpy.allclose(rosen.x, 1, atol=1e-3)
fit, _ = scipy.optimize.curve_fit(lambda x, a, b: a * x + b, [0, 1, 2], [1, 3, 5])
assert numpy.allclose(fit, [2, 1])
best = scipy.optimize.linprog([-1, -2], A_ub=[[1, 1]], b_ub=[4], bounds=[(0, 3), (0, 3)])
assert numpy.isclose(best.fun, -7)
assert numpy.isclose(
    scipy.integrate.quad(lambda x: numpy.exp(-(x**2)), -numpy.inf, numpy.inf)[0], numpy.pi**0.5
)
decay = scipy.integrate.solve_ivp(lambda t, y: -y, (0, 1), [1], rtol=1e-8)
assert numpy.isclose(decay.y[0, -1], numpy.exp(-1), atol=1e-6)
assert numpy.allclose(scipy.linalg.solve([[2, 1], [1, 3]], [3, 5]), [0.8, 1.4])
matrix = scipy.sparse.diags_array([[2.0] * 1000, [-1.0] * 999, [-1.0] * 999], offsets=[0, 1, -1]).tocsc()
assert numpy.allclose(matrix @ scipy.sparse.linalg.spsolve(matrix, numpy.ones(1000)), 1)
assert numpy.isclose(scipy.interpolate.CubicSpline([0, 1, 2, 3], [0, 1, 8, 27])(1.5), 3.375)
spectrum = scipy.fft.rfft(numpy.sin(2 * numpy.pi * 5 * numpy.arange(100) / 100))
assert numpy.argmax(abs(spectrum)) == 5
b, a = scipy.signal.butter(3, 0.2)
assert scipy.signal.filtfilt(b, a, numpy.ones(50)).shape == (50,)
assert scipy.stats.ttest_ind([1, 2, 3, 4], [11, 12, 13, 14]).pvalue < 0.001
assert numpy.isclose(scipy.stats.norm.ppf(0.975), 1.959964)
points = numpy.random.default_rng(0).random((200, 2))
assert scipy.spatial.KDTree(points).query(points[7])[1] == 7
assert scipy.spatial.ConvexHull(points).volume < 1
scipy.io.savemat("m.mat", {"a": numpy.eye(3)})
assert numpy.array_equal(scipy.io.loadmat("m.mat")["a"], numpy.eye(3))
print("done")
