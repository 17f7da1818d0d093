"""Work shared out by joblib: processes, threads, a cache on disk, and arrays that workers map."""

import math

import joblib
import numpy as np

for backend in ("loky", "threading", "multiprocessing"):
    assert joblib.Parallel(2, backend=backend)(joblib.delayed(math.sqrt)(i * i) for i in range(20)) == list(
        range(20)
    )
memory = joblib.Memory("cache", verbose=0)
assert memory.cache(math.factorial)(10) == memory.cache(math.factorial)(10) == 3628800
large = np.ones(300_000)
assert joblib.Parallel(2, max_nbytes=1000)(joblib.delayed(np.sum)(large) for _ in range(4)) == [300_000] * 4
joblib.dump(large, "large.joblib")
assert joblib.load("large.joblib", mmap_mode="r").sum() == 300_000
print("ok")
