"""Asks who it is: user, groups, home, shell.

Not at: reduced - the machine's own users are seen, and the guest's may have no name
"""

import getpass
import grp
import os
import pwd
import subprocess
from pathlib import Path

me = pwd.getpwuid(os.getuid())
assert getpass.getuser() == me.pw_name == os.environ.get("USER", me.pw_name)
assert pwd.getpwnam(me.pw_name) == me
assert grp.getgrgid(os.getgid()).gr_name
assert me.pw_name in [entry.pw_name for entry in pwd.getpwall()]
assert os.getuid() == os.geteuid()
assert os.getgid() == os.getegid()
assert os.access(Path.home(), os.W_OK)
assert os.path.expanduser("~") == str(Path.home())
assert os.path.expanduser("~root") == pwd.getpwuid(0).pw_dir
assert subprocess.check_output(["id", "-un"], text=True).strip() == me.pw_name
assert subprocess.check_output(["whoami"], text=True).strip() == me.pw_name
assert int(subprocess.check_output(["id", "-u"])) == os.getuid()
Path("own").touch()
assert Path("own").owner() == me.pw_name
assert Path("own").group() == grp.getgrgid(os.getgid()).gr_name
try:
    pwd.getpwnam("nobody-of-this-name")
except KeyError:
    unknown = True
assert unknown
try:
    os.getlogin()
except OSError as error:
    assert error.errno  # no terminal, no login
assert isinstance(os.getgroups(), list)
print("done")
