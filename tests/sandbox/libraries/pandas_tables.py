"""Tables from and to the formats that people hand over, grouped, joined, resampled, and in a database."""

import io
import sqlite3

import pandas as pd

sales = pd.DataFrame(
    {
        "day": pd.date_range("2025-01-01", periods=365, tz="Europe/Berlin"),
        "shop": ["north", "south", "east", "west", "online"] * 73,
        "sold": range(365),
    }
)
assert sales.groupby("shop")["sold"].sum().sum() == 66430
assert len(sales.set_index("day").resample("MS")["sold"].mean()) == 12
assert sales.pivot_table(index=sales["day"].dt.month, columns="shop", values="sold").shape == (12, 5)
sales.to_csv("sales.csv.gz", index=False)
assert pd.read_csv("sales.csv.gz", parse_dates=["day"])["sold"].tolist() == list(range(365))
plain = sales.assign(day=sales["day"].dt.tz_localize(None))
plain.to_excel("sales.xlsx", index=False)
assert pd.read_excel("sales.xlsx")["sold"].sum() == 66430
plain.to_parquet("sales.parquet")
assert pd.read_parquet("sales.parquet").equals(plain)
plain.to_feather("sales.feather")
assert pd.read_feather("sales.feather", columns=["sold"]).shape == (365, 1)
plain.to_json("sales.json", orient="records", lines=True)
assert len(pd.read_json("sales.json", lines=True)) == 365
plain.to_pickle("sales.pickle")
assert pd.read_pickle("sales.pickle").equals(plain)
with sqlite3.connect("sales.db") as database:
    plain.to_sql("sales", database, index=False)
    found = pd.read_sql("select shop, sum(sold) as sold from sales group by shop", database)
assert found["sold"].sum() == 66430
assert pd.read_html(io.StringIO(plain.head().to_html()))[0].shape == (5, 4)
assert "| shop" in plain.head().to_markdown()
assert plain.merge(found, on="shop", suffixes=("", "_total")).shape == (365, 4)
print("ok")
