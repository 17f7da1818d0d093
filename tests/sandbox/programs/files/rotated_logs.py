"""Logs to files that rotate, to memory, to a queue from other processes, by configuration, and to the output.

Not at: reduced - the queue between processes needs a semaphore in /dev/shm
"""

import glob
import io
import logging
import logging.config
import logging.handlers
import multiprocessing
from pathlib import Path

logger = logging.getLogger("app")
logger.setLevel(logging.DEBUG)
handler = logging.handlers.RotatingFileHandler("app.log", maxBytes=2000, backupCount=3, encoding="utf-8")
handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(process)d %(message)s"))
logger.addHandler(handler)
for number in range(200):
    logger.info("Zeile %d äöü", number)
assert sorted(glob.glob("app.log*")) == ["app.log", "app.log.1", "app.log.2", "app.log.3"]
assert all(Path(name).stat().st_size <= 2000 for name in glob.glob("app.log*"))
timed = logging.handlers.TimedRotatingFileHandler("timed.log", when="midnight")
timed.emit(logging.makeLogRecord({"msg": "now"}))
timed.doRollover()
assert len(glob.glob("timed.log*")) == 2

stream = io.StringIO()
logger.addHandler(logging.StreamHandler(stream))
try:
    divmod(1, 0)
except ZeroDivisionError:
    logger.exception("it failed")
assert "ZeroDivisionError: " in stream.getvalue()

context = multiprocessing.get_context("fork")
queue = context.Queue()


def work(number):
    own = logging.getLogger("worker")
    own.setLevel(logging.INFO)
    own.handlers, own.propagate = [logging.handlers.QueueHandler(queue)], False
    own.warning("from %d", number)


target = io.StringIO()
listener = logging.handlers.QueueListener(queue, logging.StreamHandler(target))
listener.start()
processes = [context.Process(target=work, args=(number,)) for number in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join(30)
listener.stop()
assert sorted(target.getvalue().split("\n")) == ["", "from 0", "from 1", "from 2"]

logging.config.dictConfig(
    {
        "version": 1,
        "handlers": {"file": {"class": "logging.FileHandler", "filename": "configured.log"}},
        "root": {"handlers": ["file"], "level": "INFO"},
    }
)
logging.warning("configured")
logging.shutdown()
assert Path("configured.log").read_text() == "configured\n"
try:
    # Where there is no /dev/log, the logger is told so and no more.
    logging.handlers.SysLogHandler("/dev/log").close()
except OSError as error:
    assert error.errno
print("done")
