#!/usr/bin/env python3
"""The average of a field, computed by Spark; its tasks read the ranges, on whatever machines they run.

    pip install pyspark boto3                                (and a Java that this Spark runs on: 17 or newer)
    spark-submit --master "local[2]" pyspark_job.py [FIELD]  (default: cholesterol)

Each range is one task and one request. A task parses the whole records of its range; the pieces of records at its ends go
to the driver, which puts them together. The records are flat objects, in an array or one on each line.
"""

import json
import os
import re
import sys
from typing import Iterator, NamedTuple

import boto3
from pyspark.sql import SparkSession

# Between two flat records. Inside of one, a brace is followed by neither a comma nor a line's end and another brace.
BOUNDARY = re.compile(rb"\}\s*[,\n]\s*(?=\{)")


class Part(NamedTuple):
    """What one range holds: the end of a record, whole records (as totals), the beginning of a record."""

    index: int
    end: bytes
    total: float
    used: int
    records: int
    beginning: bytes | None  # None: no record ends or begins here, all is in `end`


def totals(text: bytes, field: str) -> tuple[float, int, int]:
    """Sum and number of the field's values, number of records; of records joined as in an array or as lines."""
    text = re.sub(rb"\}\s*\n\s*\{", b"},{", text).strip().strip(b"[],")
    records = json.loads(b"[" + text + b"]")
    values = [record.get(field) for record in records]
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return sum(numbers), len(numbers), len(records)


def read(ranges: Iterator[tuple[int, int, int]], bucket: str, key: str, field: str) -> Iterator[Part]:
    """Runs in a task."""
    store = boto3.client("s3")  # endpoint and credentials are in the environment, of executors too
    for index, start, end in ranges:
        text = store.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"].read()
        boundaries = list(BOUNDARY.finditer(text))
        if not boundaries:
            yield Part(index, text, 0.0, 0, 0, None)
            continue
        first, last = boundaries[0].start() + 1, boundaries[-1].start() + 1
        total, used, records = totals(text[first:last], field)
        yield Part(index, text[:first], total, used, records, text[last:])


def aggregate(parts: list[Part], field: str) -> tuple[float, int, int]:
    """Adds the totals up, and those of the records that lie across ranges."""
    whole = [(part.total, part.used, part.records) for part in parts]
    across = b""
    for part in sorted(parts):
        across += part.end
        if part.beginning is not None:
            whole.append(totals(across, field))
            across = part.beginning
    whole.append(totals(across, field))
    total, used, records = (sum(column) for column in zip(*whole))
    return total, used, records


def main() -> None:
    field = sys.argv[1] if len(sys.argv) > 1 else "cholesterol"
    bucket, key = os.environ["AGENT_BUCKET"], os.environ["AGENT_KEY"]
    size, step = int(os.environ["AGENT_BYTES"]), int(os.environ["AGENT_REQUEST_BYTES"])
    ranges = [(i, start, min(start + step, size)) for i, start in enumerate(range(0, size, step))]

    spark = SparkSession.builder.appName("average").getOrCreate()
    tasks = spark.sparkContext.parallelize(ranges, len(ranges))
    parts = tasks.mapPartitions(lambda ranges: read(ranges, bucket, key, field)).collect()
    total, used, records = aggregate(parts, field)
    spark.stop()
    report = {
        "records": records,
        "skipped_records": records - used,
        "execution_time_s": 0,  # Spark measures it
        "result": repr(total / used) if used else "null",
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
