"""Price plans as data: see `pricing`."""
