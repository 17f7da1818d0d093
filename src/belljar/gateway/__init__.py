"""The gateway: HTTP, the agent loop, the store. It has an ordinary user's rights, and runs no code itself."""
