"""What others read in a recording and its exports, as one JSON object.

Usage: readers.py RECORDING TRANSITIONS CONNECTIONS

RECORDING is an Arrow stream, read by pyarrow. TRANSITIONS and CONNECTIONS are Parquet files, or
patterns for several, read by DuckDB and by ClickHouse.
"""

import json
import sys

import chdb
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

TRANSITIONS = """
    SELECT "from" || ' ' || "to", count(*), sum(dwell_ns), count(DISTINCT conn), count(time)
    FROM {} GROUP BY "from", "to"
"""
CONNECTIONS = """
    SELECT "end", count(*), sum(tx_bytes), sum(rx_bytes), sum(states.ESTABLISHED)
    FROM {} GROUP BY "end"
"""


def by_first(rows):
    return {row[0]: list(row[1:]) for row in rows}


def recording(path):
    """Counts of the rows by kind, and of the transitions by states."""
    with pa.ipc.open_stream(path) as stream:
        table = stream.read_all()
    kinds = table["kind"].cast(pa.string())
    states = table.filter(pc.equal(kinds, "transition")).select(["from", "to"])
    states = pa.table({name: states[name].cast(pa.string()) for name in ["from", "to"]})
    counts = states.group_by(["from", "to"]).aggregate([([], "count_all")]).to_pylist()
    return {
        "rows": table.num_rows,
        "kinds": {entry["values"]: entry["counts"] for entry in kinds.value_counts().to_pylist()},
        "states": {f"{row['from']} {row['to']}": row["count_all"] for row in counts},
    }


def by_duckdb(query, path):
    return by_first(duckdb.sql(query.format(f"read_parquet('{path}')")).fetchall())


def by_clickhouse(query, path):
    settings = " SETTINGS output_format_json_quote_64bit_integers = 0"
    answer = chdb.query(query.format(f"file('{path}', Parquet)") + settings, "JSONCompact")
    return by_first(json.loads(str(answer))["data"])


def main():
    arrows, transitions, connections = sys.argv[1:]
    found = {"pyarrow": recording(arrows)}
    for name, read in [("duckdb", by_duckdb), ("clickhouse", by_clickhouse)]:
        found[name] = {
            "transitions": read(TRANSITIONS, transitions),
            "connections": read(CONNECTIONS, connections),
        }
    print(json.dumps(found))


main()
