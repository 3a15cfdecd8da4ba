#!/usr/bin/env python3
"""SQL over S3: the average of a field, computed by DuckDB.

    pip install duckdb s3fs
    duckdb_job.py [FIELD]          (default: cholesterol)

DuckDB reads through s3fs, which finds endpoint and credentials in the standard AWS variables and reads one block of
AGENT_REQUEST_BYTES in each request. DuckDB reads several parts of the object at a time, and the blocks at their seams twice.
(Its own httpfs extension would have to be downloaded, and plans its requests itself.)
"""

import json
import os
import sys
import time

import duckdb
import s3fs


def main() -> None:
    field = sys.argv[1] if len(sys.argv) > 1 else "cholesterol"
    path = f"s3://{os.environ['AGENT_BUCKET']}/{os.environ['AGENT_KEY']}"
    store = s3fs.S3FileSystem(
        default_block_size=int(os.environ["AGENT_REQUEST_BYTES"]),
        default_cache_type="blockcache",
    )
    database = duckdb.connect()
    database.execute("set enable_progress_bar = false")
    database.register_filesystem(store)

    started = time.monotonic()
    # Records without the field, or with another type of it, give null, and are skipped. (`read_json` with columns would be
    # shorter, and read the object twice.)
    query = """
        select avg(value), count(*), count(value)
        from (select try_cast(json -> $field as double) as value from read_json_objects($path, format = 'array'))
    """
    average, records, used = database.execute(query, {"field": field, "path": path}).fetchone()
    report = {
        "records": records,
        "skipped_records": records - used,
        "execution_time_s": time.monotonic() - started,
        "result": "null" if average is None else repr(average),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
