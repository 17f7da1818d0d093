"""Puts a file where another session's Python, shell or linker would take its code from.

Stopped by: private root, Landlock
"""

import contextlib
import glob
import json
import os
import sys
import sysconfig

places = {*sys.path, *sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, *os.get_exec_path()}
places |= {"/etc", "/usr/lib", "/lib64", "/usr/bin", "/opt", "/opt/belljar", "/dev", "/", "/proc"}
places |= {*glob.glob("/usr/lib/*-linux-gnu"), *glob.glob(f"{os.path.dirname(os.__file__)}/__pycache__")}
places |= {"/etc/ld.so.conf.d", "/etc/profile.d", "/usr/share/fonts", "/usr/lib/locale"}
places.add(json.loads(os.environ["BAIT"])["open_directory"])
places -= {"", os.environ["INPUT_DIR"], os.getcwd(), "/tmp"}
NAME = "belljar-planted"
for place in sorted(filter(os.path.isdir, places)):
    with contextlib.suppress(OSError):
        # It has no name, so that nothing of it is left.
        os.close(os.open(place, os.O_TMPFILE | os.O_RDWR, 0o600))
        print("ESCAPED: may write in", place)
    for make, undo in (
        (lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)), os.unlink),
        (os.mkdir, os.rmdir),
        (lambda path: os.symlink("nowhere", path), os.unlink),
        (os.mkfifo, os.unlink),
    ):
        with contextlib.suppress(OSError):
            make(f"{place}/{NAME}")
            print("ESCAPED: made a name in", place)
            undo(f"{place}/{NAME}")
print("tried")
