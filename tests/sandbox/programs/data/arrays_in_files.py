"""Keeps arrays in files, mapped ones too, and works on them from several processes.

Not at: reduced - the pool's locks are semaphores in /dev/shm
"""

import multiprocessing

import numpy

rng = numpy.random.default_rng(3)
array = rng.normal(size=(1000, 100))
numpy.save("a.npy", array)
assert numpy.array_equal(numpy.load("a.npy"), array)
numpy.savez_compressed("a.npz", a=array, b=numpy.arange(5))
with numpy.load("a.npz") as read:
    assert sorted(read) == ["a", "b"]
    assert numpy.array_equal(read["a"], array)
numpy.savetxt("a.txt", array[:5], delimiter=",")
assert numpy.allclose(numpy.loadtxt("a.txt", delimiter=","), array[:5])
array.tofile("a.raw")
assert numpy.fromfile("a.raw").size == 100_000

mapped = numpy.memmap("m.dat", dtype="float64", mode="w+", shape=(4, 250_000))


def fill(row):
    own = numpy.memmap("m.dat", dtype="float64", mode="r+", shape=(4, 250_000))
    own[row] = row + numpy.random.default_rng(row).random()
    own.flush()
    return float(own[row].sum())


with multiprocessing.get_context("fork").Pool(2) as pool:
    sums = pool.map(fill, range(4))
assert numpy.allclose(mapped.sum(axis=1), sums)
numpy.random.seed(42)
first = numpy.random.rand(3)
numpy.random.seed(42)
assert numpy.array_equal(numpy.random.rand(3), first)
assert numpy.isclose(numpy.fft.ifft(numpy.fft.fft(array)).real, array).all()
structured = numpy.array([(1, 2.5, "x")], dtype=[("i", "i4"), ("f", "f8"), ("s", "U5")])
assert structured["s"][0] == "x"
with numpy.errstate(divide="raise"):
    try:
        numpy.ones(1) / numpy.zeros(1)
    except FloatingPointError:
        print("done")
