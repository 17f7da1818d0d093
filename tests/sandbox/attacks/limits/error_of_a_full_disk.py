"""Raises the error of a full disk, of which it has not written a byte.

Stopped by: verdict
Succeeds by: outcome disk_full
Ends: raised
"""

import errno
import os

raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/files/work/anything")
