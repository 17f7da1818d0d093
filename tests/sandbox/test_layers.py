"""Each layer of the jail by what would be different without it. Where the levels differ, both truths are asserted."""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyseccomp
import pytest
from jail import Session, Started, has_cgroups, is_full, opened, started, status

from belljar import kernel, link
from belljar.settings import Settings

pytestmark = pytest.mark.anyio

_CALL = """
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    pid = os.getpid()
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if os.getpid() != pid:
        os._exit(0)  # a clone that should not have been
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "allowed"
"""


def number(name: str) -> int:
    return int(pyseccomp.resolve_syscall(getattr(pyseccomp.Arch, platform.machine().upper()), name))


@pytest.fixture
async def guest(started: Started, session: Session) -> dict[str, str]:
    """/proc/PID/status of the session's guest, as this machine sees it."""
    found = [pid for pid in started.processes() if status(pid).get("NSpid", "").split()[1:] != []]
    inside = await session.value("import os; print(os.getpid())")
    name = "belljar-probe"
    await session.run(
        f"open('/proc/self/task/{inside}/comm'); import ctypes; ctypes.CDLL(None).prctl(15, b'{name}')"
    )
    (pid,) = [pid for pid in found if status(pid).get("Name") == name]
    return status(pid)


# -- identity and power ------------------------------------------------------------------------------------


async def test_the_guest_is_nobody_on_the_machine(keeper: link.Keeper, guest: dict[str, str]) -> None:
    uids, gids = set(guest["Uid"].split()), set(guest["Gid"].split())
    if os.geteuid() == 0:
        first = Settings().uid_base
        assert len(uids) == len(gids) == 1
        assert first < int(uids.pop()) < first + 65536
        assert first < int(gids.pop()) < first + 65536
        assert guest["Groups"] == ""
    else:
        assert uids == {str(os.geteuid())}
        assert "uid" in " ".join(keeper.description.isolation.missing)


async def test_sessions_have_different_uids_where_there_are_many(
    started: Started, keeper: link.Keeper
) -> None:
    async def uid(session: Session) -> str:
        before = started.processes()
        name = f"probe-{session.name}"[:15]
        await session.run(f"import ctypes; ctypes.CDLL(None).prctl(15, b'{name}')")
        return next(status(pid)["Uid"] for pid in before if status(pid).get("Name") == name)

    async with opened(keeper) as one, opened(keeper) as two:
        assert (await uid(one) != await uid(two)) == (os.geteuid() == 0)


async def test_no_capability_no_new_privileges_and_a_filter(session: Session, guest: dict[str, str]) -> None:
    code = """
        import json
        lines = [line.partition(":") for line in open("/proc/self/status")]
        print(json.dumps({name: value.strip() for name, _, value in lines}))
    """
    for seen in (guest, await session.value(code)):
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(seen[name], 16) == 0, name
        assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2")


async def test_children_are_locked_in_as_well(session: Session) -> None:
    out = await session.says("import subprocess; subprocess.run(['cat', '/proc/self/status'])")
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in out


async def test_the_guest_sees_an_ordinary_user(session: Session) -> None:
    assert (
        await session.says("import os; print(os.getresuid(), os.getresgid())")
        == "(1000, 1000, 1000) (1000, 1000, 1000)"
    )
    assert (
        await session.says("import getpass, os; print(getpass.getuser(), os.path.expanduser('~'))")
        == "user /tmp"
    )


async def test_no_other_identity_can_be_taken(session: Session) -> None:
    code = """
        import json, os
        def attempt(call, *arguments):
            try:
                call(*arguments)
            except OSError as error:
                return error.errno
            return 0
        print(json.dumps([attempt(os.setuid, 0), attempt(os.setgid, 0), attempt(os.setgroups, [0]),
                          attempt(os.setresuid, 0, 0, 0), attempt(os.chown, "/files/work", 0, 0)]))
    """
    assert set(await session.value(code)) <= {errno.EPERM, errno.EINVAL}


async def test_setuid_programs_gain_nothing(session: Session) -> None:
    """The mounts forbid it, and no_new_privs does; here, that a setuid program runs with our own uid."""
    code = """
        import glob, os, stat, subprocess
        programs = [p for p in glob.glob("/usr/bin/*") if os.stat(p, follow_symlinks=False).st_mode & stat.S_ISUID]
        for program in programs:
            child = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=-3, stderr=-3)
            # Right after exec, before it can end: the kernel has set the ids by then.
            try:
                for line in open(f"/proc/{child.pid}/status"):
                    if line.startswith("Uid:"):
                        print(*set(line.split()[1:]))
            except (FileNotFoundError, ProcessLookupError):
                pass
            child.kill()
            child.wait()
    """
    assert set((await session.says(code)).split()) <= {"1000"}


# -- system calls ------------------------------------------------------------------------------------------

_REFUSED = {
    # name: (arguments with which the call would succeed, or fail otherwise, without the filter, the answer with it)
    "ptrace": ("0, 0, 0, 0", "EPERM"),  # PTRACE_TRACEME
    "process_vm_readv": ("os.getpid(), 0, 0, 0, 0, 0", "EPERM"),
    "process_vm_writev": ("os.getpid(), 0, 0, 0, 0, 0", "EPERM"),
    "kcmp": ("os.getpid(), os.getpid(), 0, 0, 0", "EPERM"),
    "mount": ("1, 1, 1, 0, 0", "EPERM"),
    "umount2": ("1, 0xFFFF", "EPERM"),
    "unshare": ("0x10000000", "EPERM"),
    "setns": ("999, 0", "EPERM"),
    "bpf": ("0, 1, 1", "EPERM"),
    "keyctl": ("0, -3, 1", "EPERM"),
    "add_key": ("b'user', b'belljar', b'secret', 6, -3", "EPERM"),
    "request_key": ("b'user', b'belljar', 0, -3", "EPERM"),
    "perf_event_open": ("1, 0, 0, -1, 0", "EPERM"),
    "userfaultfd": ("1", "EPERM"),
    "personality": ("0xFFFFFFFF", "EPERM"),
    "seccomp": ("2, 0, 1", "EPERM"),
    "vmsplice": ("999, 0, 0, 0", "EPERM"),
    "name_to_handle_at": ("999, 1, 1, 1, 0", "EPERM"),
    "open_tree": ("999, 1, 0", "EPERM"),
    "fsopen": ("1, 0", "EPERM"),
    "io_uring_setup": ("1, 1", "ENOSYS"),
    "io_uring_register": ("999, 0, 0, 0", "ENOSYS"),
    "clone3": ("1, 1", "ENOSYS"),
    "pidfd_getfd": ("999, 0, 0", "ENOSYS"),
    "process_madvise": ("999, 0, 0, 0, 0", "ENOSYS"),
    "memfd_secret": ("0", "ENOSYS"),
    "inotify_init1": ("0", "ENOSYS"),
    "fanotify_init": ("999, 0", "ENOSYS"),
    "cachestat": ("999, 0, 0, 0", "ENOSYS"),
    "shmget": ("0, 4096, 0o1600", "ENOSYS"),
    "mq_open": ("b'x', 0o102, 0o600, 0", "ENOSYS"),
    "landlock_create_ruleset": ("0, 0, 1", "ENOSYS"),
    "prctl": ("22, 0, 0, 0, 0", "ENOSYS"),  # PR_SET_SECCOMP
}


async def test_system_calls(session: Session) -> None:
    probes = [
        f"answers[{name!r}] = call({number(name)}, {arguments})"
        for name, (arguments, _) in _REFUSED.items()
        if number(name) >= 0
    ]
    seen = await session.value("\n".join([_CALL, "answers = {}", *probes, "print(json.dumps(answers))"]))
    assert seen == {name: answer for name, (_, answer) in _REFUSED.items() if number(name) >= 0}


async def test_no_namespace_by_clone(session: Session) -> None:
    flags = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    code = f"{_CALL}\nprint(json.dumps([call({number('clone')}, flag | 17, 0, 0, 0, 0) for flag in {flags}]))"
    assert set(await session.value(code)) <= {"ENOSYS", "EPERM"}
    # and what it is for does work
    assert (
        await session.says(f"{_CALL}\nprint(call({number('clone')}, 17, 0, 0, 0, 0)); os.wait()") == "allowed"
    )


async def test_terminals_are_not_typed_into(session: Session) -> None:
    code = f"""{_CALL}
answers = [call({number("ioctl")}, 0, request, b"x") for request in (0x5412, 0x541C, 0x540E)]  # TIOCSTI, TIOCLINUX
print(json.dumps(answers))"""
    assert set(await session.value(code)) <= {"ENOSYS", "EPERM"}


async def test_no_terminal_and_no_option_is_no_missing_call(session: Session) -> None:
    """Programs go on after these answers; after ENOSYS some do not."""
    code = """
        import errno, json, os, socket, termios
        def answer(call, *arguments):
            try:
                return str(call(*arguments))
            except (OSError, termios.error) as error:
                return errno.errorcode[error.args[0]]
        with socket.socket() as near:
            print(json.dumps([
                [answer(call, fd) for fd in (0, 1) for call in (os.tcgetpgrp, os.get_terminal_size, termios.tcgetattr)],
                answer(termios.tcflush, 0, termios.TCIFLUSH),
                answer(near.setsockopt, socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno"),
                answer(near.getsockopt, socket.SOL_SOCKET, socket.SO_PRIORITY),
            ]))
    """
    assert await session.value(code) == [["ENOTTY"] * 6, "ENOTTY", "ENOPROTOOPT", "ENOPROTOOPT"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the other calling conventions are x86-64's")
@pytest.mark.parametrize(
    ("what", "machine_code", "ends"),
    [
        # mov eax, 20; int 0x80; ret: getpid by the 32-bit table
        ("int 0x80", b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", {"crashed"}),
        # mov eax, 0x40000027; syscall; ret: getpid of x32
        ("x32", b"\xb8\x27\x00\x00\x40\x0f\x05\xc3", {"crashed", "completed"}),
    ],
)
async def test_other_calling_conventions(
    session: Session, what: str, machine_code: bytes, ends: set[str]
) -> None:
    result = await session.run(
        f"""
        import ctypes, mmap
        page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
        page.write({machine_code!r})
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        print(ctypes.CFUNCTYPE(ctypes.c_long)(address)())
        """
    )
    assert result.outcome.status in ends
    if result.outcome.status == "crashed":
        assert result.outcome.reason == "SIGSYS"
    else:
        assert int(result.stdout) < 0


# -- network -----------------------------------------------------------------------------------------------


async def test_there_are_no_sockets_but_unix_sockets_and_those_of_the_loopback(session: Session) -> None:
    code = """
        import json, socket
        seen = {}
        for family in (*range(2, 46),):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                try:
                    socket.socket(family, kind).close()
                    said = 0
                except OSError as error:
                    said = error.errno
                seen.setdefault(said, []).append([family, kind])
        print(json.dumps(seen))
    """
    seen = await session.value(code)
    assert seen.pop("0") == [[2, 1], [2, 2], [10, 1], [10, 2]]
    assert seen.pop(str(errno.EPERM)) == [[2, 3], [10, 3]]
    assert set(seen) == {str(errno.EAFNOSUPPORT)}
    assert (
        await session.says("import socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))")
        == "b'x'"
    )


async def test_the_network_is_empty(session: Session) -> None:
    """The namespace, and not the filter: even who could make a socket would have nowhere to go."""
    lines = (await session.says("print(open('/proc/self/net/dev').read())")).splitlines()[2:]
    interfaces = [line.partition(":")[0].strip() for line in lines]
    assert interfaces in (["lo"], [])
    assert await session.says("print(len(open('/proc/self/net/route').readlines()))") in ("0", "1")
    assert await session.says("print(len(open('/proc/self/net/unix').readlines()))") == "1"


async def test_names_are_not_resolved(session: Session) -> None:
    result = await session.run("import socket; socket.getaddrinfo('example.com', 80)")
    assert result.outcome.reason == "gaierror"
    result = await session.run(
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8421/health')"
    )
    assert result.outcome.reason == "URLError"


# -- files -------------------------------------------------------------------------------------------------


async def test_the_machines_files_do_not_exist(session: Session) -> None:
    paths = """
        /home /work /sys /run /var /mnt /srv /media /boot /lost+found /etc/shadow /etc/ssh /etc/ssl/private /etc/sudoers
        /etc/machine-id /etc/resolv.conf /etc/crontab /usr/local /usr/share/doc /usr/src /opt/belljar/box/files
        /dev/mem /dev/kmsg /dev/vda /dev/sda /dev/pts /dev/ptmx /dev/tty /dev/fuse /dev/kvm /dev/net
        /proc/1/root/etc /proc/sys /proc/kcore /proc/kallsyms /proc/mounts /proc/meminfo /proc/cpuinfo /proc/version
        /proc/cmdline /proc/modules /proc/sysrq-trigger /proc/net /proc/keys /proc/timer_list
    """.split()
    outside = [str(path) for path in (Path.home(), Path.cwd(), Path(__file__)) if path != Path("/")]
    base = Path(os.path.realpath(Settings().runtime / "bin" / "python")).parent.parent
    hidden = [path for path in paths + outside if not base.is_relative_to(path) or path == "/"]
    seen = await session.value(
        f"import json, os; print(json.dumps([p for p in {hidden} if os.path.exists(p)]))"
    )
    # Of /proc only processes are there, and of these the self.
    assert [path for path in seen if path != "/proc/mounts"] == []


async def test_the_tree_holds_what_was_put_there(session: Session) -> None:
    base = Path(os.path.realpath(Settings().runtime / "bin" / "python")).parent.parent
    code = """
        import json, os
        tops = ("/", "/etc", "/opt", "/opt/belljar", "/dev", "/files", "/tmp")
        print(json.dumps({top: sorted(os.listdir(top)) for top in tops}))
    """
    seen = await session.value(code)
    expected = {"bin", "dev", "etc", "files", "lib", "lib32", "lib64", "opt", "proc", "sbin", "tmp", "usr"}
    assert set(seen["/"]) <= expected | {base.parts[1]}
    allowed = {
        "passwd",
        "group",
        "hosts",
        "nsswitch.conf",
        "hostname",
        "alternatives",
        "fonts",
        "ld.so.cache",
        "localtime",
        "mime.types",
        "os-release",
        "protocols",
        "services",
        "ssl",
    }
    assert set(seen["/etc"]) <= allowed
    assert seen["/opt"] == ["belljar"] or base.is_relative_to("/opt")
    assert seen["/opt/belljar"] == ["bin", "box", "inside.zip", "runtime"]
    assert set(seen["/dev"]) == {
        "fd",
        "full",
        "null",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "urandom",
        "zero",
    }
    assert seen["/files"] == ["input", "output", "work"]
    assert seen["/tmp"] == []
    if base != Path("/usr"):
        # Down to the interpreter there is one name in each directory, and its own tree at the end.
        chain = [str(base.parents[i]) for i in range(len(base.parents) - 2, -1, -1)]
        lists = await session.value(
            f"import json, os; print(json.dumps([os.listdir(d) for d in {chain} if d != '/']))"
        )
        assert lists == [[part] for part in base.parts[2:]]
        assert await session.value(
            f"import json, os; print(json.dumps(sorted(os.listdir({str(base)!r}))))"
        ) == sorted(name for name in ("bin", "include", "lib") if (base / name).is_dir())


async def test_an_operators_umask_keeps_guests_from_nothing(anyio_backend: str) -> None:
    before = os.umask(0o077)
    try:
        async with started() as here, opened(here.keeper) as session:
            await session.put("data.csv", b"1")
            code = "import os\nprint(oct(os.stat('data.csv').st_mode), os.system('pip list >/dev/null'))"
            result = await session.run(code)
    finally:
        os.umask(before)
    assert result.outcome.status == "completed", result.stderr
    assert result.stdout == "0o100644 0\n"


async def test_every_mount_is_read_only_but_the_sessions_own(session: Session) -> None:
    code = """
        import json, os
        print(json.dumps({path: os.statvfs(path).f_flag for path in
                          ("/", "/usr/lib", "/usr/bin", "/opt/belljar/runtime", "/opt/belljar/inside.zip",
                           "/etc", "/dev", "/dev/null", "/proc", "/files", "/tmp", "/dev/shm")}))
    """
    flags = await session.value(code)
    for path, flag in flags.items():
        assert flag & os.ST_NOSUID, path
        assert bool(flag & os.ST_NODEV) == (path != "/dev/null"), path
        assert bool(flag & os.ST_RDONLY) == (path not in ("/files", "/tmp", "/dev/shm", "/proc")), path
    assert flags["/proc"] & os.ST_NOEXEC


async def test_the_machines_paths_and_devices_are_in_no_list_of_mounts(session: Session) -> None:
    code = """
        import glob
        for name in ("mountinfo", "mounts"):
            for path in glob.glob("/proc/[0-9]*/" + name) + ["/proc/self/" + name]:
                print([line.split(" - ")[-1].split()[:2] for line in open(path)])
    """
    # Of pid 1 an empty directory, and nothing of the guest's own.
    assert await session.says(code) == "[['tmpfs', 'belljar']]\n[]\n[]\n[['belljar', '/']]\n[]\n[]"


async def test_control_groups_are_seen_from_the_sessions_own(session: Session) -> None:
    paths = {
        line.split(":")[2] for line in (await session.says("print(open('/proc/self/cgroup').read())")).split()
    }
    assert paths == {"/"}


async def test_what_is_read_only_is_not_written(session: Session) -> None:
    code = """
        import json, os
        seen = []
        for top, directories, files in os.walk("/"):
            if top == "/":
                directories[:] = [d for d in directories if d not in ("proc", "files", "tmp")]
            directories[:] = directories[:20]
            if top in ("/dev/shm",):
                continue
            for attempt in (lambda: open(top + "/belljar-x", "w"), lambda: os.mkdir(top + "/belljar-d"),
                            lambda: os.chmod(top, 0o777), lambda: files and os.unlink(top + "/" + files[0])):
                try:
                    if attempt():
                        seen.append(top)
                except OSError:
                    pass
        print(json.dumps(seen))
    """
    assert await session.value(code) == []


async def test_only_four_descriptors_are_open(keeper: link.Keeper) -> None:
    async with opened(keeper) as session:
        code = """
            import json, os
            def is_open(fd):
                try:
                    os.fstat(fd)
                except OSError:
                    return False
                return True
            print(json.dumps([fd for fd in range(1024) if is_open(fd)]))
        """
        assert await session.value(code) == [0, 1, 2, 3]
        # The control socket is nothing that a program started by the code inherits.
        out = await session.says(
            "import subprocess; subprocess.run(['ls', '/proc/self/fd'], close_fds=False)"
        )
        assert out.split() == ["0", "1", "2", "3"]  # 3 is ls's own
        out = await session.says(
            "import subprocess; subprocess.run(['ls', '-l', '/proc/self/fd'], close_fds=False)"
        )
        assert "socket" not in out


# -- Landlock ----------------------------------------------------------------------------------------------


async def test_landlock_alone_forbids_what_nothing_else_would(session: Session) -> None:
    """A process may write its own name in /proc, on a mount that is not read-only: only Landlock says no."""
    result = await session.run(
        "import subprocess; print(subprocess.run(['sh', '-c', 'echo x > /proc/self/comm']).returncode)"
    )
    assert result.stdout == "2\n"
    assert "Permission denied" in result.stderr


async def test_landlock_scopes_signals(keeper: link.Keeper, session: Session) -> None:
    """Pid 1 of the box: as an ordinary user it has the guest's own uid, so the kernel would allow a signal."""
    code = "import os\ntry: os.kill(1, 0)\nexcept PermissionError: print('no')\nelse: print('yes')"
    if kernel.Landlock.abi() >= 6 or os.geteuid() == 0:
        assert await session.says(code) == "no"
    else:
        assert any("signals" in item for item in keeper.description.isolation.missing)


# -- other processes ---------------------------------------------------------------------------------------


async def test_other_processes_do_not_exist(session: Session, keeper: link.Keeper) -> None:
    async with opened(keeper) as other:
        await other.run("import subprocess; subprocess.Popen(['sleep', '1000'])")
        code = (
            "import json, os; print(json.dumps(sorted(int(n) for n in os.listdir('/proc') if n.isdigit())))"
        )
        assert await session.value(code) == [1, 2]
        assert await session.value("import os; print([os.getpid(), os.getppid(), os.getsid(0)])") == [2, 0, 2]


async def test_pid_1_is_not_harmed(session: Session) -> None:
    result = await session.run(
        """
        import os
        for number in range(0, 65):
            try: os.kill(1, number)
            except OSError: pass
        print("sent")
        """
    )
    assert result.stdout == "sent\n"
    # A time-out and the kill go through pid 1, so it has to be alive for this.
    result = await session.run(
        "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass", timeout=0.3
    )
    assert result.outcome.status == "timed_out"
    assert await session.says("print(1)") == "1"


async def test_a_signal_to_all_is_a_signal_to_oneself(session: Session, keeper: link.Keeper) -> None:
    async with opened(keeper) as other:
        await other.run("kept = 1")
        code = """
            import os, signal, subprocess
            child = subprocess.Popen(["sleep", "1000"])
            os.kill(-1, signal.SIGKILL)
            print(child.wait(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
        result = await session.run(code)
        assert result.stdout == "-9\n"
        assert (result.outcome.status, result.outcome.reason) == ("crashed", "SIGKILL")
        assert await other.says("print(kept)") == "1"
        assert await session.says("print(1)") == "1"


async def test_pid_1_and_the_server_cannot_be_looked_into(session: Session) -> None:
    code = """
        import json, os
        attempts, seen = {}, []
        def read(path):
            with open(path, "rb") as file:
                file.read(10)
        for name in ("mem", "environ", "maps", "auxv", "fd/0", "fd/3", "map_files"):
            attempts[f"/proc/1/{name}"] = read
        for name in ("root", "cwd", "exe", "ns/net", "ns/user", "fd/0", "fd/3"):
            attempts[f"/proc/1/{name} "] = os.readlink
        for path, attempt in attempts.items():
            try:
                attempt(path.strip())
                seen.append(path)
            except OSError:
                continue
        print(json.dumps(seen))
    """
    seen = await session.value(code)
    assert seen == []


async def test_no_namespace_is_shared(started: Started, keeper: link.Keeper) -> None:
    """With this machine, and between two sessions: the link in /proc names the namespace."""

    def namespaces(pid: int) -> dict[str, str]:
        kinds = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
        return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in kinds}

    def inside(pid: int) -> str:
        return status(pid)["NSpid"].split()[-1]

    before = started.processes()
    async with opened(keeper):
        one = started.processes() - before
        async with opened(keeper):
            two = started.processes() - before - one
            for first in one:
                for second in two:
                    a, b, ours = namespaces(first), namespaces(second), namespaces(os.getpid())
                    for kind in ours:
                        if kind == "mnt" and "1" in (inside(first), inside(second)):
                            continue  # an empty one, for all who are pid 1
                        assert len({a[kind], b[kind], ours[kind]}) == 3, kind


# -- what identifies the machine ---------------------------------------------------------------------------


async def test_the_machine_is_not_named(session: Session) -> None:
    host = platform.node()
    assert host != "belljar"
    code = "import os, platform, socket; print(platform.node(), os.uname().nodename, socket.gethostname())"
    assert await session.says(code) == "belljar belljar belljar"


async def test_the_environment_is_ours(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await session.value("import json, os; print(json.dumps(dict(os.environ)))")
    names = """
        PATH HOME USER LOGNAME SHELL LANG TZ TMPDIR PYTHONDONTWRITEBYTECODE MPLBACKEND XDG_DATA_DIRS
        OPENBLAS_NUM_THREADS OMP_NUM_THREADS MKL_NUM_THREADS ARROW_DEFAULT_MEMORY_POOL INPUT_DIR OUTPUT_DIR
    """
    assert set(seen) == set(names.split())
    code = """
        import subprocess, sys
        subprocess.run([sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"])
    """
    assert set(await session.value(code)) - set(seen) <= {"LC_CTYPE"}


async def test_no_secret_of_ours_is_in_the_guests_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "S3CR3T" + os.urandom(8).hex()
    monkeypatch.setenv("ANTHROPIC_API_KEY", secret)
    monkeypatch.setenv("BELLJAR_UPSTREAM_API_KEY", secret)
    async with started() as here, opened(here.keeper) as session:
        result = await session.run(
            f"""
            import ctypes
            wanted = ("S3CR3T" + {secret[6:14]!r}).encode()  # not the whole, which would find itself
            found = 0
            for line in open("/proc/self/maps"):
                fields = line.split()
                if fields[1].startswith("rw") and fields[-1] not in ("[vvar]", "[vsyscall]"):
                    start, end = (int(edge, 16) for edge in fields[0].split("-"))
                    found += ctypes.string_at(start, end - start).count(wanted + {secret[14:].encode()!r})
            print("found", found)
            """
        )
    # The second half as a constant lies in memory as well, but not behind the first.
    assert result.stdout == "found 0\n", result.stderr


# -- sessions from one another -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def preloaded(anyio_backend: str) -> AsyncIterator[link.Keeper]:
    """A zygote that has imported whatever keeps random numbers, so that its guests share their state."""
    modules = (
        "random",
        "uuid",
        "tempfile",
        "ssl",
        "secrets",
        "multiprocessing",
        "numpy.random",
        "sympy.core.random",
    )
    async with started(preload={"random": modules}) as here:
        await here.keeper.warm()
        assert all(tier.state == "ready" and not tier.why for tier in here.keeper.tiers)
        yield here.keeper


async def test_random_numbers_of_two_sessions_differ(preloaded: link.Keeper) -> None:
    code = """
        import ctypes, json, multiprocessing, os, random, secrets, ssl, sys, tempfile, uuid
        assert "numpy.random" in sys.modules and "sympy.core.random" in sys.modules  # from the zygote
        import numpy, sympy.core.random
        libc = ctypes.CDLL(None)
        print(json.dumps({
            "random": random.random(), "choice": random.choices("abcdefgh", k=20),
            "numpy": numpy.random.random(), "numpy.rng": numpy.random.default_rng().random(),
            "sympy": sympy.core.random.random(),
            "uuid1": str(uuid.uuid1()), "uuid4": str(uuid.uuid4()), "node": uuid.getnode(),
            "ssl": ssl.RAND_bytes(16).hex(), "secrets": secrets.token_hex(), "urandom": os.urandom(16).hex(),
            "tempfile": tempfile.mktemp(), "authkey": bytes(multiprocessing.current_process().authkey).hex(),
            "rand": [libc.rand() for _ in range(4)], "libc.random": [libc.random() for _ in range(4)],
        }))
    """
    seen: list[dict[str, Any]] = []
    for _ in range(3):
        async with opened(preloaded) as session:
            seen.append(await session.value(code))
    for name in seen[0]:
        values = [json.dumps(one[name]) for one in seen]
        assert len(set(values)) == len(values), name


async def test_the_machines_hardware_address_is_not_known(preloaded: link.Keeper) -> None:
    addresses = {
        int(path.read_text().replace(":", ""), 16)
        for path in Path("/sys/class/net").glob("*/address")
        if path.read_text().strip()
    }
    async with opened(preloaded) as session:
        assert await session.value("import uuid; print(uuid.getnode())") not in addresses - {0}


async def test_a_session_does_not_see_another(keeper: link.Keeper) -> None:
    async with opened(keeper) as one, opened(keeper) as two:
        await one.run(
            """
            import os, socket, subprocess
            from multiprocessing import shared_memory
            import builtins, math
            math.leak = builtins.leak = "leak"
            for directory in ("/files/work", "/tmp", "/dev/shm", "/files/output"):
                open(f"{directory}/belljar-leak", "w").write("leak")
            held = shared_memory.SharedMemory("belljar-leak-shm", create=True, size=10)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind("\\0belljar-leak")
            listener.listen()
            child = subprocess.Popen(["sleep", "4711"])
            os.environ["LEAK"] = "leak"
            """
        )
        assert (
            await one.says("import os; print(sorted(os.listdir('/dev/shm')))")
            == "['belljar-leak', 'belljar-leak-shm']"
        )
        result = await two.run(
            """
            import builtins, math, os, socket
            found = []
            for top, directories, files in os.walk("/"):
                directories[:] = [] if top.startswith("/usr") else directories
                found += [name for name in files if "belljar-leak" in name]
            print(found, hasattr(math, "leak"), hasattr(builtins, "leak"), "LEAK" in os.environ)
            print([open(f"/proc/{n}/cmdline").read() for n in os.listdir("/proc") if n.isdigit() and n not in "12"])
            try:
                socket.socket(socket.AF_UNIX).connect("\\0belljar-leak")
                print("connected")
            except OSError as error:
                print(type(error).__name__)
            """
        )
        lines = result.stdout.splitlines()
        assert lines[:2] == ["[] False False False", "[]"]
        assert lines[2] in ("ConnectionRefusedError", "PermissionError")


async def test_a_session_that_ended_leaves_nothing_to_the_next(keeper: link.Keeper) -> None:
    for _ in range(3):
        async with opened(keeper) as session:
            code = """
                import json, os
                print(json.dumps({d: os.listdir(d) for d in ("/files/work", "/tmp", "/dev/shm")}))
                for d in ("/files/work", "/tmp", "/dev/shm"): open(d + "/x", "w").write("x")
            """
            assert await session.value(code) == {"/files/work": [], "/tmp": [], "/dev/shm": []}


async def test_the_level_is_said(keeper: link.Keeper) -> None:
    isolation = keeper.description.isolation
    if is_full(keeper):
        assert os.geteuid() == 0
        assert [item for item in isolation.missing if "Landlock" not in item] == []
    else:
        assert isolation.level == "limited"
        assert isolation.missing
    assert keeper.description.python.count(".") == 2
    assert keeper.description.packages["numpy"]


async def test_devices_are_the_harmless_ones(session: Session) -> None:
    code = """
        import json, os, stat
        print(json.dumps({n: [os.major(s.st_rdev), os.minor(s.st_rdev)] for n in os.listdir("/dev")
                          if stat.S_ISCHR((s := os.stat("/dev/" + n)).st_mode) or stat.S_ISBLK(s.st_mode)}))
    """
    seen = await session.value(code)
    for name in ("stdin", "stdout", "stderr"):
        seen.pop(name, None)
    # Mapped, /dev/zero is memory that is counted in a cgroup only: /dev/full stands in for it where there is none.
    zero = [1, 5] if has_cgroups(session.keeper) else [1, 7]
    assert seen == {"null": [1, 3], "zero": zero, "full": [1, 7], "random": [1, 8], "urandom": [1, 9]}
    code = """
        import os, stat
        try:
            os.mknod("/tmp/mem", 0o600 | stat.S_IFCHR, os.makedev(1, 1))
        except PermissionError:
            print("refused")
    """
    assert await session.says(code) == "refused"
