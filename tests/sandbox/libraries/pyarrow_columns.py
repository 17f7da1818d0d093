"""Columns in memory and on disk, with its own threads, allocators and file systems."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq
from pyarrow import fs

table = pa.table({"n": list(range(200_000)), "kind": ["a", "b", "c", "d"] * 50_000})
for codec in ("snappy", "zstd", "gzip", "brotli", "lz4"):
    pq.write_table(table, f"{codec}.parquet", compression=codec)
    assert pq.read_table(f"{codec}.parquet", memory_map=True).equals(table)
ds.write_dataset(table, "parts", format="parquet", partitioning=["kind"], partitioning_flavor="hive")
parts = ds.dataset("parts", partitioning="hive")
assert parts.to_table(filter=ds.field("kind") == "a").num_rows == 50_000
assert pc.sum(table["n"]).as_py() == 199_999 * 100_000
assert table.group_by("kind").aggregate([("n", "max")]).num_rows == 4
pyarrow.csv.write_csv(table, "table.csv")
assert pyarrow.csv.read_csv("table.csv").num_rows == 200_000
pyarrow.feather.write_feather(table, "table.feather")
with pa.memory_map("table.feather") as source:
    assert pa.ipc.open_file(source).read_all().num_rows == 200_000
local = fs.LocalFileSystem()
assert local.get_file_info("table.csv").size > 1_000_000
local.copy_file("table.csv", "copy.csv")
local.delete_file("copy.csv")
for pool in (
    pa.system_memory_pool,
    *(getattr(pa, f"{name}_memory_pool") for name in ("mimalloc", "jemalloc")),
):
    try:
        chosen = pool()
    except NotImplementedError:
        continue  # this build of the library has no such allocator
    assert pa.array(range(1_000_000), memory_pool=chosen).nbytes == 8_000_000
    chosen.release_unused()
assert pa.cpu_count() >= 1
print("ok")
