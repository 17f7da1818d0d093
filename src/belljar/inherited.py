"""What a process of ours has from whoever started it, and is better without."""

from __future__ import annotations

import resource
import signal


def leave_behind() -> None:
    """Ignored ends of children, blocked signals and the small soft limit on open files. For the main thread."""
    # Ignored, the kernel reaps children itself, and nobody learns how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # The usual soft limit is there for programs that use select(2).
    most = hard_limit("RLIMIT_NOFILE")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def hard_limit(name: str) -> int:
    """Of `resource`'s limits one by its name; 2 ** 63 - 1 where there is none."""
    most = resource.getrlimit(getattr(resource, name))[1]
    return 2**63 - 1 if most == resource.RLIM_INFINITY else most
