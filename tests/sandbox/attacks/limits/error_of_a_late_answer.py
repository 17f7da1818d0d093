"""Raises the error of an operation that took too long, at once.

Stopped by: verdict
Succeeds by: outcome timed_out
Ends: raised
"""

raise TimeoutError("The run was stopped after 20 s.")
