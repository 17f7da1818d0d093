"""Raises an exception that calls itself a lack of space, in its name, its class and its words.

Stopped by: verdict
Succeeds by: outcome disk_full
Ends: raised
"""


class Full(OSError):
    errno = 28

    @property
    def __class__(self):
        return OSError

    def __str__(self):
        return "[Errno 28] No space left on device"


Full.__name__ = Full.__qualname__ = "OSError"
Full.__module__ = "builtins"
raise Full
