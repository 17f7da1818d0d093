"""What a keeper imports at its start: somebody waits for that."""

from __future__ import annotations

import json
import subprocess
import sys

_IMPORT = """
import json, sys
import belljar.keeper.__main__
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_it_has_nothing_that_only_its_owner_needs() -> None:
    asked = [sys.executable, "-I", "-c", _IMPORT]
    imported = json.loads(subprocess.run(asked, capture_output=True, check=True, timeout=60).stdout)
    assert {"belljar", "anyio"} <= set(imported)
    assert not {"pydantic", "pydantic_settings", "starlette", "httpx2", "click", "rich", "structlog"} & set(
        imported
    )
