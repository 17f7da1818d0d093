"""Any input that there is: a few examples in every test run, and many with `make fuzz`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("many", max_examples=400)
# A machine that is busy with other things is slow: how long an example takes says nothing.
for _name in ("default", "ci", "many"):
    _known = settings.get_profile(_name)
    settings.register_profile(
        _name, _known, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
