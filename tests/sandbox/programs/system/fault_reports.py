"""Has faulthandler write the stacks of all threads: when asked, by a signal, after a time, and on a crash."""

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

with tempfile.TemporaryFile("w+") as file:

    def written():
        # Not by the file's own place, at which the report is being written.
        return os.pread(file.fileno(), 65536, 0).decode()

    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    faulthandler.dump_traceback(file, all_threads=True)
    assert written().count("(most recent call first)") >= 2
    event.set()
    thread.join()
    file.seek(0)
    file.truncate(0)
    faulthandler.dump_traceback_later(0.02, file=file)
    deadline = time.monotonic() + 30
    while "Timeout" not in written() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "Timeout" in written()
    faulthandler.cancel_dump_traceback_later()
    file.seek(0)
    file.truncate(0)
    faulthandler.register(signal.SIGUSR1, file=file)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert "most recent call first" in written()
    faulthandler.unregister(signal.SIGUSR1)

crash = "import faulthandler, ctypes; faulthandler.enable(); ctypes.string_at(0)"
answer = subprocess.run([sys.executable, "-c", crash], capture_output=True, text=True, timeout=30)
assert answer.returncode == -signal.SIGSEGV
assert "Segmentation fault" in answer.stderr
answer = subprocess.run(
    [sys.executable, "-X", "faulthandler", "-c", "import os; os.abort()"], capture_output=True, timeout=30
)
assert answer.returncode == -signal.SIGABRT
assert b"Aborted" in answer.stderr
print("done")
