"""Design matrices by formula."""

import numpy as np
import patsy

data = patsy.demo_data("a", "b", "x", nlevels=3)
outcome, design = patsy.dmatrices("x ~ a * b + np.log(abs(x) + 1)", data)
assert design.shape == (len(data["x"]), 10)
assert np.allclose(np.asarray(outcome).ravel(), data["x"])
print("ok")
