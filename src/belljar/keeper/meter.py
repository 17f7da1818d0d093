"""What the runs of a session take, by the kernel's own counts."""

from __future__ import annotations

from belljar.keeper import outside
from belljar.keeper.cgroups import Cgroup
from belljar.keeper.guests import Guest
from belljar.keeper.runs import Run
from belljar.keeper.succession import Succession


class Meter:
    """Of one session: what its cgroup has counted since a run began, or else what can be read of its processes."""

    def __init__(self, guests: Succession, cgroup: Cgroup | None) -> None:
        self._guests = guests
        self._cgroup = cgroup
        self._cpu_before, self._oom_before = 0.0, 0
        self._pids_refused = 0
        """So far in the session's life."""
        self._has_begun = False

    def begin(self) -> None:
        """What the next run takes is counted from here on, for until it begins nothing runs. Nothing where that is so
        already."""
        if not self._has_begun:
            self._has_begun = True
            self._cpu_before = self.cpu_seconds()
            if self._cgroup is not None:
                self._oom_before = self._cgroup.oom_kills()
                self._cgroup.reset_peak()

    def run_begins(self) -> None:
        """From here on it is this run's."""
        self.begin()
        self._has_begun = False

    def open(self) -> None:
        """Open the files that counts are read from, ahead of the first run."""
        if self._cgroup is not None:
            self._cgroup.tasks(), self._cgroup.pids_refused(), self._cgroup.watched_bytes()

    def cpu_seconds(self) -> float:
        """CPU time of everything in the session; where no cgroup counts it, without what was left to pid 1 and died."""
        counted = self._cgroup.cpu_seconds() if self._cgroup is not None else None
        if counted is not None:
            return counted
        guest = self._guests.guest
        if guest is None:
            return 0.0
        if self._guests.tasks() == 1:
            return guest.stat.cpu_seconds()
        return sum(map(outside.cpu_seconds, self._guests.processes()))

    def taken_cpu_seconds(self, guest: Guest) -> float:
        """CPU time of the run that `guest` has had, and of what it has started."""
        has_counter = self._cgroup is not None and self._cgroup.cpu_seconds() is not None
        is_gone = guest.exited.is_set() and not has_counter
        return (guest.cpu_seconds if is_gone else self.cpu_seconds()) - self._cpu_before

    def oom_kills(self) -> int:
        """How many processes the kernel has killed in the run for their memory."""
        return self._cgroup.oom_kills() - self._oom_before if self._cgroup is not None else 0

    def newly_refused(self) -> int:
        """How many processes or threads the kernel has refused since this was asked last."""
        refused, before = self._cgroup.pids_refused() if self._cgroup is not None else 0, self._pids_refused
        self._pids_refused = refused
        return refused - before

    def peak_bytes(self, run: Run) -> int:
        """The most memory that was seen in the run, or counted."""
        return max(run.peak_bytes, self._cgroup.peak_bytes() if self._cgroup is not None else 0)
