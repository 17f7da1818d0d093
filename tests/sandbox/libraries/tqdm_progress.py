"""Progress bars, which ask how wide the terminal is, and a monitor thread."""

import io
import time

from tqdm import tqdm, trange
from tqdm.contrib.concurrent import process_map, thread_map

out = io.StringIO()
assert sum(tqdm(range(1000), file=out, mininterval=0)) == 499500
assert "1000/1000" in out.getvalue()
for _ in trange(3, desc="steps"):
    time.monotonic()
assert thread_map(str, range(20), max_workers=2) == [str(n) for n in range(20)]
assert process_map(abs, range(-5, 0), max_workers=2, chunksize=1) == [5, 4, 3, 2, 1]
print("ok")
