"""The tools that run on this side."""
