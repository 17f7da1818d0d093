"""The keeper: owns boxes, zygotes, sessions and limits. Trusted; reads hostile bytes only through `frames`.

Theory of operation
===================

The keeper is started by its owner (the gateway, `belljar run`, the library) with one end of a socket pair and
serves that owner only. It starts the outer box (see `belljar.zygote`) of the default runtime, and that of another one
when a session asks for it (`workshops`). For each session it

1. makes a cgroup with the session's limits, where the machine lets it,
2. asks the boxer for a box, and keeps a pidfd of its pid 1,
3. asks the zygote for a guest in that box, which furnishes it; moves the guest into the cgroup, and keeps descriptors
   of the box's root and of its files,
4. looks at the guest from outside (/proc) before it hands it the first line of code.

Whatever ends a run, the keeper decides from its own clock, the cgroup's counters and the exit status. What the
guest says about itself is shown and believed by nobody. Killing goes through a warden (all of a pid namespace at
once), and closing a session is killing its pid 1: the kernel takes the rest, mounts included.
"""
