"""What runs in the caller's own process."""
