"""Looks at the built-in names as a script can: __builtins__ is the module there."""

import builtins
import types

assert isinstance(__builtins__, types.ModuleType)
assert __builtins__ is builtins
assert __builtins__.sum([1, 2]) == 3
assert "print" in dir(__builtins__)
assert vars(__builtins__)["len"] is len
builtins.a_name_for_all = 5
assert a_name_for_all == 5  # noqa: F821
del builtins.a_name_for_all
print("done")
