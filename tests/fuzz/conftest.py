"""Any input that there is: a few examples in every test run, and many with `make fuzz`."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
