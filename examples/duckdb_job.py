#!/usr/bin/env python3
"""SQL over S3: the average of a field, computed by DuckDB.

    pip install duckdb fsspec boto3
    duckdb_job.py [FIELD]          (default: cholesterol)

DuckDB reads through a filesystem of one object, which boto3 reads in blocks of AGENT_REQUEST_BYTES, one in each request: boto3
finds endpoint and credentials in the standard AWS variables. DuckDB reads several parts of the object at a time, and the
blocks at their seams twice. (Its own httpfs extension would have to be downloaded, plans its requests itself, and takes stars,
question marks and brackets in a key for a pattern.)
"""

import json
import os
import sys
import time

import boto3
import duckdb
from botocore.config import Config
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

BUCKET, KEY = os.environ["AGENT_BUCKET"], os.environ["AGENT_KEY"]
SIZE, REQUEST_SIZE = int(os.environ["AGENT_BYTES"]), int(os.environ["AGENT_REQUEST_BYTES"])


class OneObject(AbstractFileSystem):
    """The object under a plain name, so that nobody looks for patterns in its key."""

    protocol = "object"
    path = "object://data"

    def __init__(self):
        super().__init__()
        self.store = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))

    def info(self, path, **_):
        return {"name": path, "size": SIZE, "type": "file"}

    def glob(self, path, **_):
        return [path]

    def _open(self, path, mode="rb", **_):
        return Blocks(self, path, mode, block_size=REQUEST_SIZE, cache_type="blockcache", size=SIZE)


class Blocks(AbstractBufferedFile):
    def _fetch_range(self, start, end):
        answer = self.fs.store.get_object(Bucket=BUCKET, Key=KEY, Range=f"bytes={start}-{end - 1}")
        return answer["Body"].read()


def main() -> None:
    field = sys.argv[1] if len(sys.argv) > 1 else "cholesterol"
    database = duckdb.connect()
    database.execute("set enable_progress_bar = false")
    database.register_filesystem(OneObject())

    started = time.monotonic()
    # Records without the field, or with another type of it, give null, and are skipped. (`read_json` with columns would be
    # shorter, and read the object twice.)
    query = """
        select avg(value), count(*), count(value)
        from (select try_cast(json -> $field as double) as value from read_json_objects($path, format = 'array'))
    """
    average, records, used = database.execute(query, {"field": field, "path": OneObject.path}).fetchone()
    report = {
        "records": records,
        "skipped_records": records - used,
        "execution_time_s": time.monotonic() - started,
        "result": "null" if average is None else repr(average),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
