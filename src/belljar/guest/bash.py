"""How a shell is started, for cells and for calls of the shell tool."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any

COMMAND = ("/bin/bash", "--norc")
_PIP = """() {{ {python} -c "import sys; sys.path.append(sys.argv.pop(1)); \\
from belljar.guest.magics.packages import main; main()" {archive} "$@"
}}"""
_PIPS = ("pip", "pip3")


def environment(**own: str) -> Mapping[str, str]:
    """Ours and `own`. In it `pip` is a function that answers as `%pip` does, where the runtime has none: that of the
    machine, if there is one, is of another Python, and waits for a network."""
    if os.path.exists(f"{sys.prefix}/bin/pip"):
        return {**os.environ, **own}
    loader: Any = __spec__.loader
    pip = _PIP.format(python=shlex.quote(sys.executable), archive=shlex.quote(loader.archive))
    return {**os.environ, **{f"BASH_FUNC_{name}%%": pip for name in _PIPS}, **own}
