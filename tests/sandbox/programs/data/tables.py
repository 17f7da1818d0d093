"""Reads, groups, joins and writes tables with pandas: CSV, JSON, SQL and Excel, in and out."""

import io
import sqlite3

import numpy
import pandas

table = pandas.DataFrame(
    {
        "city": ["Köln", "Rom", "Köln", "東京", "Rom", "Köln"],
        "day": pandas.date_range("2024-03-29", periods=6, tz="Europe/Berlin"),
        "value": [1.5, 2.0, numpy.nan, 4.0, 5.0, 6.5],
    }
)
sums = table.groupby("city")["value"].agg(["sum", "count"])
assert sums.loc["Köln"].tolist() == [8.0, 2.0]
assert table.pivot_table(index="city", values="value", aggfunc="max").loc["Rom", "value"] == 5.0
joined = table.merge(pandas.DataFrame({"city": ["Rom", "東京"], "land": ["IT", "JP"]}), how="left")
assert joined["land"].notna().sum() == 3
assert table["value"].interpolate().tolist()[2] == 3.0
assert table.set_index("day")["value"].resample("3D").sum().iloc[0] == 3.5
assert table["city"].str.upper().iloc[0] == "KÖLN"
assert table["value"].rolling(2).mean().iloc[1] == 1.75

table.to_csv("t.csv", index=False)
again = pandas.read_csv("t.csv", parse_dates=["day"])
assert again["value"].sum() == table["value"].sum()
chunks = pandas.read_csv("t.csv", chunksize=2)
assert sum(len(chunk) for chunk in chunks) == 6
assert pandas.read_json(io.StringIO(table.to_json(orient="records"))).shape == (6, 3)
flat = table.assign(day=table["day"].dt.tz_localize(None))
for engine in ("openpyxl", "xlsxwriter"):
    with pandas.ExcelWriter(f"{engine}.xlsx", engine=engine) as writer:
        flat.to_excel(writer, sheet_name="data", index=False)
        sums.to_excel(writer, sheet_name="sums")
    read = pandas.read_excel(f"{engine}.xlsx", sheet_name=None)
    assert list(read) == ["data", "sums"]
    assert read["data"]["city"].tolist() == table["city"].tolist()
    assert read["data"]["day"].iloc[0] == flat["day"].iloc[0]
with sqlite3.connect("t.db") as connection:
    flat.to_sql("t", connection, index=False)
    assert pandas.read_sql("SELECT max(value) AS m FROM t", connection)["m"].iloc[0] == 6.5
table.to_pickle("t.pickle.gz")
assert pandas.read_pickle("t.pickle.gz").equals(table)
large = pandas.DataFrame({"key": numpy.arange(500_000) % 1000, "x": 1.0})
assert large.groupby("key")["x"].sum().eq(500).all()
assert "Köln" in str(table)
print("done")
