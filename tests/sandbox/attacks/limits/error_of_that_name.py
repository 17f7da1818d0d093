"""Raises an error of its own that is called as the interpreter's for a lack of memory is.

Stopped by: verdict
Succeeds by: outcome out_of_memory
Ends: raised
"""

MemoryError = type("MemoryError", (Exception,), {"__module__": "builtins"})
raise MemoryError
