"""Data as it travels: what clients send and read. No I/O, no clock, no settings."""
