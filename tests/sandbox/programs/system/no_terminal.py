"""Asks for a terminal where there is none, and goes on."""

import curses
import getpass
import os
import pty
import shutil
import subprocess
import sys
import warnings

assert not sys.stdout.isatty()
assert not os.isatty(0)
for fd in (0, 1):
    try:
        os.get_terminal_size(fd)
    except OSError as error:
        assert error.strerror == "Inappropriate ioctl for device", (fd, error)
assert shutil.get_terminal_size((123, 45)) == (123, 45)
for call in (lambda: os.ttyname(1), lambda: os.open("/dev/tty", os.O_RDWR), lambda: os.tcgetpgrp(1)):
    try:
        call()
    except OSError as error:
        assert error.errno
    else:
        raise AssertionError("there is a terminal")
try:
    input("name? ")
except EOFError:
    print()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        getpass.getpass("secret? ")
    except EOFError:
        print()
try:
    pty.openpty()
except OSError as error:
    assert error.args
try:
    curses.setupterm("dumb")
except curses.error as error:
    assert "terminal" in str(error)
tput = subprocess.run(["tput", "-T", "dumb", "cols"], capture_output=True)
assert tput.returncode in (0, 3)
print("done")
