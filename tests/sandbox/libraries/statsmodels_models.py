"""Regression by formula, time series and tests."""

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.tsa.arima.model import ARIMA
from statsmodels.tsa.seasonal import seasonal_decompose

rng = np.random.default_rng(2)
frame = pd.DataFrame({"x": rng.normal(size=300), "group": rng.choice(["a", "b"], 300)})
frame["y"] = 1 + 2 * frame["x"] + (frame["group"] == "b") + rng.normal(scale=0.1, size=300)
fitted = smf.ols("y ~ x + C(group)", frame).fit()
assert abs(fitted.params["x"] - 2) < 0.1
assert "R-squared" in str(fitted.summary())
logit = sm.Logit((frame["y"] > 1).astype(int), sm.add_constant(rng.normal(size=300))).fit(disp=0)
assert len(logit.params) == 2
series = pd.Series(
    np.sin(np.arange(120) * 2 * np.pi / 12) + rng.normal(scale=0.1, size=120),
    index=pd.date_range("2015-01-01", periods=120, freq="MS"),
)
assert ARIMA(series, order=(1, 0, 0)).fit().forecast(3).shape == (3,)
assert seasonal_decompose(series).seasonal.abs().max() > 0.5
print("ok")
