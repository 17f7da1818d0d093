"""What stands between a guest and the machine: each layer, whether it holds here, why not, what would mend it. Pure.

`facts` are what was found by trying; nothing here looks at the machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from belljar.records import Layer, Level, State

LEVELS: tuple[Level, ...] = ("reduced", "limited", "full")
"""From the weakest to the strongest."""

_NAMESPACES = ("user", "pid", "mount", "network", "ipc", "uts", "cgroup")
ALLOW_NAMESPACES = (
    "sysctl -w user.max_user_namespaces=65536 kernel.unprivileged_userns_clone=1 "
    "kernel.apparmor_restrict_unprivileged_userns=0 (those that exist). A container needs a seccomp profile that lets "
    "unshare, clone, setns and mount pass, no AppArmor profile against mounts, and a /proc that nothing covers: "
    "docs/install.md has Docker's options"
)
_SHOW_ZONES = "start Belljar where /proc/zoneinfo can be read, as it can unless a container hides it"
_BE_ROOT = "start Belljar as root"
_GET_CGROUPS = "start Belljar as root, or with systemd-run --user --scope -p Delegate=yes"


@dataclass(frozen=True)
class Facts:
    """What this machine gave when it was asked."""

    no_namespaces: str
    """Why there are none; empty where there are."""
    has_own_uids: bool
    no_cgroups: str
    """Why sessions have none; empty where they have."""
    no_zone_counts: str
    """Why it is not known what the machine has lost to nobody's count; empty where it is."""
    landlock_abi: int
    machine: str
    """As platform.machine() has it."""


def found(facts: Facts) -> list[Layer]:
    """Every layer, in the order in which a guest would meet them on its way out."""
    return [
        *_namespaces(facts),
        *_files(facts),
        *_limits(facts),
        *_power(facts),
        _landlock(facts),
        _seccomp(facts),
        _clock(facts),
        *(_held(name, detail) for name, detail in _ALWAYS.items()),
    ]


def level(facts: Facts) -> Level:
    """The isolation level that these layers make."""
    if facts.no_namespaces:
        return "reduced"
    return "full" if facts.has_own_uids and not facts.no_cgroups else "limited"


def missing(layers: list[Layer]) -> list[str]:
    """In a sentence each: what does not hold, or not in full."""
    sentences = [f"{layer.name}: {layer.detail}" for layer in layers if layer.state != "held"]
    return list(dict.fromkeys(sentences))


_ALWAYS = {
    "descriptors": "stdin (empty), stdout, stderr and the control socket, counted from outside",
    "fork state": "random generators, environment and caches are made anew in each guest",
    "clean zygote": "exec'd with an environment of its own; one thread",
    "stop between runs": "SIGSTOP to all; no guest can send SIGCONT",
    "capture": "output is drained all the time and kept within its budget",
    "frames": "one bounded message at a time; the first that breaks the form ends the run",
    "verdict": "outcome, time and use are the keeper's own",
    "collector": "files by descriptors beneath one directory, with no link followed",
}


def _held(name: str, detail: str) -> Layer:
    return Layer(name=name, state="held", detail=detail, fix="")


def _layer(name: str, state: State, detail: str, fix: str) -> Layer:
    return Layer(name=name, state=state, detail=detail, fix=fix)


def _namespaces(facts: Facts) -> list[Layer]:
    if not facts.no_namespaces:
        return [_held(f"{name} namespace", "new for each session") for name in _NAMESPACES]
    instead = {
        "user": "no new one",
        "pid": "a warden for each session finds and kills what descends from it; Landlock lets it signal nobody else",
        "mount": "guests share the machine's file tree; Landlock lets them read the runtime and write in one directory",
        "network": "guests share the machine's network; seccomp leaves them no sockets but pairs",
        "ipc": "seccomp refuses System V IPC and message queues; /dev/shm is closed",
        "uts": "the machine's name can be read",
        "cgroup": "the machine's control groups are out of sight, since /proc is",
    }
    state: dict[str, State] = {"ipc": "weaker", "pid": "weaker", "mount": "weaker", "network": "weaker"}
    return [
        _layer(
            f"{name} namespace",
            state.get(name, "missing"),
            f"the machine refuses it ({facts.no_namespaces}): {instead[name]}",
            ALLOW_NAMESPACES,
        )
        for name in _NAMESPACES
    ]


def _files(facts: Facts) -> list[Layer]:
    if not facts.no_namespaces:
        return [
            _held(
                "private root",
                "read-only: interpreter, libraries, programs, fonts, time zones, a synthetic /etc",
            ),
            _held("tmpfs", "bytes and inodes of what a session writes are bounded by the kernel"),
        ]
    return [
        _layer(
            "private root",
            "missing",
            "that a file exists, and its size and owner, can be asked for by name",
            ALLOW_NAMESPACES,
        ),
        _layer(
            "tmpfs",
            "weaker",
            "a session's files are on the machine's disk; they are added up all the time, and a run that is over its "
            "limit is stopped",
            ALLOW_NAMESPACES,
        ),
    ]


def _limits(facts: Facts) -> list[Layer]:
    rlimits = _held("rlimits", "open files, file size, core dumps, locked memory, queues")
    if not facts.no_cgroups:
        return [_held("cgroup", "memory, processes and processor time of each session"), rlimits]
    return [
        _layer(
            "cgroup",
            "weaker",
            f"none for each session ({facts.no_cgroups}): memory by RLIMIT_DATA and a look every 50 ms, processes by "
            "RLIMIT_NPROC, whole processors instead of a share",
            _GET_CGROUPS,
        ),
        rlimits,
    ]


def _power(facts: Facts) -> list[Layer]:
    own_uid = (
        _held("own uid", "another for each session, which nobody else on the machine has")
        if facts.has_own_uids
        else _layer("own uid", "missing", "every guest runs as the user who started Belljar", _BE_ROOT)
    )
    keeps = facts.no_namespaces and not facts.has_own_uids
    capabilities = (
        _layer(
            "capabilities",
            "weaker",
            "none are held; the bounding set is not ours to empty, and no_new_privs keeps it from mattering",
            _BE_ROOT,
        )
        if keeps
        else _held("capabilities", "none, and none to be had: the bounding set is empty")
    )
    return [own_uid, capabilities, _held("no_new_privs", "set-user-ID programs gain nothing")]


def _landlock(facts: Facts) -> Layer:
    if facts.landlock_abi >= 6:
        return _held("Landlock", f"ABI {facts.landlock_abi}: files, devices, signals, abstract sockets")
    return _layer(
        "Landlock",
        "weaker",
        f"ABI {facts.landlock_abi}: files only; signals and abstract sockets are left to the namespaces",
        "boot Linux 6.12 or newer",
    )


def _clock(facts: Facts) -> Layer:
    detail = "the keeper's own; at the deadline everything in the session is killed"
    if not facts.no_zone_counts or facts.no_namespaces:  # without them there are no connections
        return _held("clock", detail)
    unseen = f"{detail}. Not all memory that bytes in connections keep can be seen ({facts.no_zone_counts})"
    return _layer("clock", "weaker", unseen, _SHOW_ZONES)


def _seccomp(facts: Facts) -> Layer:
    if facts.no_namespaces and not facts.has_own_uids:
        return _held(
            "seccomp",
            f"an allow-list for {facts.machine}; chmod, chown and utime, which Landlock does not cover, answer success "
            "and do nothing",
        )
    return _held("seccomp", f"an allow-list for {facts.machine}: what is not on it does not exist")
