"""pyarrow and DuckDB: they read the blocks that a server wrote, and find what was sent."""

import json

import duckdb
import pyarrow.parquet

from clients.curl_cases import NDJSON, ingest
from harness.cases import case, equal, eventually

TS = 1_700_000_000_000
ROWS = 20_000
STATES = ["idle", "running", "stopped", "läuft"]


def message(at):
    """Columns of every kind: constant, of few values, rising, with all their digits, rare, and absent."""
    metrics = {"pressure": (at * 7919 % 300) / 10, "noise": (at * 0.6180339887498949) % 1, "running": at % 3 == 0}
    if at % 10 == 0:
        metrics["state"] = STATES[at // 100 % 4]
    if at > 15_000:
        metrics["late"] = at * 1e9
    sent = {"ts": TS + at * 1000 + at % 7, "seq": at, "boot": 3, "metrics": metrics}
    return sent | ({"tags": {"line": "A"}} if at % 2 else {})


def expected():
    names = ["pressure", "noise", "running", "state", "late"]
    for at in range(ROWS):
        sent = message(at)
        tags = json.dumps(sent["tags"], separators=(",", ":")) if "tags" in sent else None
        yield (sent["ts"], sent["seq"], sent["boot"], tags, *(sent["metrics"].get(name) for name in names))


COLUMNS = "seq, boot, tags, pressure, noise, running, state, late"


@case("a server's blocks are plain Parquet for pyarrow and DuckDB, statistics included")
def _(world):
    server = world.server().start()
    device = server.api.device()
    body = "\n".join(json.dumps(message(at)) for at in range(ROWS)).encode()
    status, answer, _ = ingest(server, device, body, *NDJSON)
    equal((status, answer["accepted"]), (202, ROWS))
    eventually(lambda: len(server.api.raw(device["device_id"], "late")), ROWS - 15_001, "readings")
    equal(server.stop(), 0, "exit code")
    files = [str(path) for path in sorted((server.data / "store/blocks").iterdir())]

    found = duckdb.execute(f"SELECT epoch_ms(ts), {COLUMNS} FROM read_parquet({files}) ORDER BY ts").fetchall()
    equal(found, list(expected()), "rows in DuckDB")
    middle = TS + ROWS // 2 * 1000
    count = duckdb.execute(f"SELECT count(*) FROM read_parquet({files}) WHERE epoch_ms(ts) >= {middle}").fetchone()
    equal(count, (ROWS // 2,), "rows from the middle on in DuckDB")

    tables = [pyarrow.parquet.read_table(file) for file in files]
    rows = sorted(row for table in tables for row in rows_of(table))
    equal(rows, sorted(map(sortable, expected())), "rows in pyarrow")
    for file, table in zip(files, tables):
        check_statistics(pyarrow.parquet.ParquetFile(file).metadata.row_group(0), table)


def rows_of(table):
    names = COLUMNS.split(", ")
    times = table.column("ts").cast("int64").to_pylist()
    return (sortable((ts, *(row[name] for name in names))) for ts, row in zip(times, table.select(names).to_pylist()))


def sortable(row):
    """As text, because None does not compare."""
    return tuple(repr(value) for value in row)


def check_statistics(group, table):
    """What the footer says of each column is what stands in it."""
    for at in range(group.num_columns):
        column, cells = group.column(at), table.column(at)
        statistics, name = column.statistics, column.path_in_schema
        equal(statistics.null_count, cells.null_count, f"absent cells of {name}")
        if statistics.has_min_max and name not in ("ts", "received", "device_id"):
            present = [value for value in cells.to_pylist() if value is not None]
            equal((statistics.min, statistics.max), (min(present), max(present)), f"ends of {name}")
