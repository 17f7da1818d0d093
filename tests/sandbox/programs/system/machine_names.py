"""Asks what the machine is: system, host name, processors, C library, Python."""

import multiprocessing
import os
import platform
import shutil
import socket
import sys
import sysconfig

assert platform.system() == "Linux" == os.uname().sysname
assert platform.node() == socket.gethostname() == os.uname().nodename
assert socket.getfqdn()
assert platform.machine() in ("x86_64", "aarch64")
assert platform.release()[0].isdigit()
assert platform.platform().startswith("Linux-")
assert platform.architecture()[0] == "64bit"
assert platform.libc_ver()[0] in ("glibc", "")
assert platform.python_implementation() == "CPython"
assert platform.python_version_tuple()[0] == "3"
assert isinstance(platform.processor(), str)
assert os.cpu_count() >= 1
assert multiprocessing.cpu_count() == os.cpu_count()
assert 1 <= len(os.sched_getaffinity(0)) <= os.cpu_count()
try:
    assert len(os.getloadavg()) == 3
except OSError as error:
    assert "load" in str(error).lower() or error.errno is None
try:
    assert platform.freedesktop_os_release()["ID"]
except OSError as error:
    assert "os-release" in str(error)
assert os.path.exists(sys.executable)
assert sysconfig.get_path("stdlib") == os.path.dirname(os.__file__)
assert shutil.which("python3")
assert shutil.which("sh")
assert os.confstr("CS_GNU_LIBC_VERSION").startswith("glibc")
assert sys.getswitchinterval() > 0
assert sys.maxsize == 2**63 - 1
assert platform.uname().system == "Linux"
print("done")
