"""Arrays, linear algebra on several threads, files that are mapped, random numbers, Fourier transforms."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

rng = np.random.default_rng(7)
matrix = rng.normal(size=(600, 600))
assert np.allclose(np.linalg.inv(matrix) @ matrix, np.eye(600), atol=1e-6)
assert np.linalg.svd(matrix[:50, :50], compute_uv=False).shape == (50,)
with ThreadPoolExecutor(4) as pool:
    products = list(pool.map(lambda _: (matrix @ matrix).sum(), range(4)))
assert np.allclose(products, products[0])

np.save("matrix.npy", matrix)
mapped = np.load("matrix.npy", mmap_mode="r")
assert np.array_equal(mapped[10], matrix[10])
np.savez_compressed("several.npz", a=matrix[:5], b=np.arange(3))
with np.load("several.npz") as several:
    assert several["b"].tolist() == [0, 1, 2]
shared = np.memmap("shared.dat", dtype="int32", mode="w+", shape=(1000,))
shared[:] = np.arange(1000)
shared.flush()
assert np.fromfile("shared.dat", dtype="int32").sum() == 499500
np.savetxt("table.csv", matrix[:3, :3], delimiter=",")
assert np.genfromtxt("table.csv", delimiter=",").shape == (3, 3)
assert np.allclose(np.fft.ifft(np.fft.fft(matrix[0])).real, matrix[0])
assert Path("matrix.npy").stat().st_size > 600 * 600 * 8
big = np.zeros(40_000_000)
big[::4096] = 1
assert big.sum() == len(big[::4096])
print("ok")
