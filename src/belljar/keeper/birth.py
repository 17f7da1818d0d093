"""The birth of a guest: what its zygote is told, and the ends of its descriptors that the keeper holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Sequence

from belljar import inherited
from belljar.keeper import outside, policy
from belljar.keeper.boxes import Box, Site
from belljar.keeper.guests import PIPE_BYTES, Guest
from belljar.keeper.zygotes import Zygote
from belljar.records import Limits

_SO_PASSRIGHTS = 83  # include/uapi/asm-generic/socket.h


async def fork(
    zygote: Zygote,
    site: Site,
    box: Box,
    index: int,
    limits: Limits,
    *,
    has_cgroup: bool,
    rehearsal: Sequence[str],
) -> tuple[Guest, dict[str, float]]:
    """Have the zygote fork a guest of session number `index` into its box. Returns the laps in seconds, too.

    Raises SessionLost.
    """
    uid, gid = site.identity(index)
    rlimits = policy.rlimits(
        limits,
        has_cgroup=has_cgroup,
        has_own_uid=site.has_own_uids,
        are_cores_piped=outside.are_cores_piped(),
        baseline_bytes=zygote.data_bytes,
        other_processes=_other_processes(site, uid, limits),
    )
    packet = {
        "confinement": box.confinement,
        "cwd": box.places.work,
        "env": policy.environment(limits.cpus, box.places),
        # A guest that asked for more than we may have ourselves would not come up.
        "rlimits": {name: min(value, inherited.hard_limit(name)) for name, value in rlimits.items()},
        "rehearsal": rehearsal,
        "processors": [] if has_cgroup else policy.processors(limits.cpus, index, os.sched_getaffinity(0)),
    }
    with contextlib.ExitStack() as near, contextlib.ExitStack() as far:
        ours, theirs = socket.socketpair()
        with contextlib.suppress(OSError):  # since Linux 6.16
            # What a guest passes would be ours to let go of, and our time.
            ours.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
        near.enter_context(ours)
        far.enter_context(theirs)
        pipes = []
        for _ in range(2):
            read, write = os.pipe()
            near.callback(os.close, read)
            far.callback(os.close, write)
            # The guest may open it again by name: `echo x > /dev/stderr`
            os.fchown(write, uid, gid)
            pipes.append((read, write))
        with contextlib.suppress(OSError):  # only for speed, and past the user's quota it is refused
            fcntl.fcntl(pipes[0][0], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        fds = [*(write for _, write in pipes), theirs.fileno()]
        born = await site.fork_guest(zygote.fork, box, packet, fds)
        near.callback(os.close, born.pidfd)
        guest = Guest(born.number, born.pidfd, ours, pipes[0][0], pipes[1][0])
        near.pop_all()  # they are the guest's now
        return guest, born.laps


def _other_processes(site: Site, uid: int, limits: Limits) -> int:
    """What RLIMIT_NPROC counts beside the guest's own processes."""
    if site.has_namespaces:
        return 1  # since Linux 5.14 each user namespace has its own count: the box's pid 1
    # The warden has our uid. With the guests' uid our own and the user's other processes are in the count, which
    # goes up and down: what is over the limit is for the watcher to see, and this is the wall behind it.
    return 0 if site.has_own_uids else outside.tasks_of(uid) + 4 * limits.pids
