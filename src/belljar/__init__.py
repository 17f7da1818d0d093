"""Belljar: a self-hosted code execution tool for language models."""

__version__ = "0.1.0"
