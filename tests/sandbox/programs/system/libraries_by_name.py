"""Finds C libraries by their short names, makes an environment, and asks which system this is."""

import ctypes
import ctypes.util
import os
import platform
import subprocess
import sys
import tempfile

if os.path.exists("/sbin/ldconfig"):
    for name in ("c", "m", "pthread"):
        found = ctypes.util.find_library(name)
        assert found, name
        assert ctypes.CDLL(found)
if os.path.exists("/usr/lib/os-release"):
    assert platform.freedesktop_os_release()["ID"]
    with open("/etc/os-release") as release:
        assert "ID=" in release.read()
with tempfile.TemporaryDirectory() as place:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", place], check=True)
    inner = subprocess.run(
        [f"{place}/bin/python", "-c", "import sys; print(sys.prefix != sys.base_prefix)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert inner.stdout == "True\n"
print("done")
