"""Statistics, optimization on several processes, integration, sparse systems, signals and sound files."""

import multiprocessing

import numpy as np
from scipy import fft, integrate, interpolate, io, linalg, ndimage, optimize, signal, sparse, spatial, stats
from scipy.sparse.linalg import spsolve


def bowl(x: np.ndarray) -> float:
    return float(((x - 3) ** 2).sum())


assert np.allclose(optimize.minimize(bowl, np.zeros(4)).x, 3, atol=1e-3)
# By fork: a number of workers starts a fork server, for which functions have to be in a file that can be imported.
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = optimize.differential_evolution(
        bowl, [(-10, 10)] * 2, workers=pool.map, updating="deferred", maxiter=20, seed=1
    )
assert np.allclose(found.x, 3, atol=0.1)
assert abs(integrate.quad(lambda x: np.exp(-x * x), -np.inf, np.inf)[0] - np.sqrt(np.pi)) < 1e-9
solution = integrate.solve_ivp(lambda t, y: -y, (0, 5), [1.0], rtol=1e-8)
assert abs(solution.y[0, -1] - np.exp(-5)) < 1e-6
rng = np.random.default_rng(5)
sample = rng.normal(1, 2, 5000)
assert stats.ttest_1samp(sample, 1).pvalue > 1e-4
assert abs(stats.norm.fit(sample)[1] - 2) < 0.1
system = sparse.diags([2.0, -1.0, -1.0], [0, 1, -1], shape=(500, 500)).tocsc()  # type: ignore[arg-type]
assert np.allclose(system @ spsolve(system, np.ones(500)), 1)
assert linalg.expm(np.zeros((3, 3))).trace() == 3
assert fft.rfft(sample, workers=2).shape == (2501,)
assert spatial.cKDTree(rng.random((1000, 3))).query(rng.random((100, 3)), workers=2)[0].max() < 1
assert interpolate.CubicSpline(range(5), [0, 1, 4, 9, 16])(2.5) - 6.25 < 0.1
assert ndimage.gaussian_filter(rng.random((64, 64)), 2).shape == (64, 64)
tone = (np.sin(np.arange(8000) / 5) * 20000).astype("int16")
io.wavfile.write("tone.wav", 8000, tone)
assert np.array_equal(io.wavfile.read("tone.wav", mmap=True)[1], tone)
io.savemat("tone.mat", {"tone": tone})
assert io.loadmat("tone.mat")["tone"].size == 8000
assert len(signal.find_peaks(tone)[0]) > 100
print("ok")
