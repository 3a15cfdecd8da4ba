"""Reads an agent's S3 endpoint with the clients that are installed, several times over: every byte has to be
right.

    python3 s3_clients.py http://127.0.0.1:9100 BUCKET KEY SHA256 TIMES

Credentials come from AWS_SHARED_CREDENTIALS_FILE, as every client finds them by itself. Prints what each has read.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys

ENDPOINT, BUCKET, KEY, SHA256, TIMES = sys.argv[1:]
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_DEFAULT_REGION="us-east-1")


def check(data):
    assert hashlib.sha256(data).hexdigest() == SHA256, f"{len(data)} bytes, and others than they should be"


def boto3_client():
    import boto3
    from botocore.exceptions import ClientError

    s3 = boto3.client("s3", endpoint_url=ENDPOINT)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [BUCKET]
    s3.head_bucket(Bucket=BUCKET)
    s3.get_bucket_location(Bucket=BUCKET)
    for write in (
        lambda: s3.put_object(Bucket=BUCKET, Key="new", Body=b"1"),
        lambda: s3.delete_object(Bucket=BUCKET, Key=KEY),
        lambda: s3.create_bucket(Bucket="another"),
    ):
        try:
            write()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error
            assert "written at their origin" in error.response["Error"]["Message"], error
        else:
            raise AssertionError("it was written")

    def read():
        listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert [one["Key"] for one in listed] == [KEY], listed
        etag = s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
        assert etag == f'"{SHA256}"' == listed[0]["ETag"], etag
        data = s3.get_object(Bucket=BUCKET, Key=KEY, IfMatch=etag)["Body"].read()
        check(data)
        part = s3.get_object(Bucket=BUCKET, Key=KEY, Range="bytes=10-19")
        assert (part["Body"].read(), part["ContentRange"]) == (data[10:20], f"bytes 10-19/{len(data)}")
        for condition, code in (({"IfNoneMatch": etag}, "304"), ({"IfMatch": '"another"'}, "PreconditionFailed")):
            try:
                s3.get_object(Bucket=BUCKET, Key=KEY, **condition)
            except ClientError as error:
                assert error.response["Error"]["Code"] == code, error
            else:
                raise AssertionError(f"{condition} was not looked at")

    return read


def s3fs_client():
    import s3fs

    def read():
        files = s3fs.S3FileSystem(client_kwargs={"endpoint_url": ENDPOINT}, skip_instance_cache=True)
        assert files.ls(BUCKET) == [f"{BUCKET}/{KEY}"], files.ls(BUCKET)
        with files.open(f"{BUCKET}/{KEY}", block_size=50_000) as file:
            check(file.read())

    return read


def duckdb_client():
    import duckdb

    database = duckdb.connect()
    try:
        database.execute("INSTALL httpfs")
        database.execute("LOAD httpfs")
    except duckdb.Error as error:
        raise ImportError(f"httpfs cannot be had: {str(error).splitlines()[0]}") from error
    keys = dict(line.split(" = ") for line in open(os.environ["AWS_SHARED_CREDENTIALS_FILE"]) if " = " in line)
    key, secret = (keys[name].strip() for name in ("aws_access_key_id", "aws_secret_access_key"))
    database.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', ENDPOINT '{ENDPOINT.split('//')[1]}', "
        "URL_STYLE 'path', USE_SSL false)"
    )

    def read():
        mean = f"SELECT count(*), avg(cholesterol) FROM read_json_auto('s3://{BUCKET}/{KEY}')"
        count, _ = database.execute(mean).fetchone()
        assert count > 0, count

    return read


def rclone_client():
    if shutil.which("rclone") is None:
        raise ImportError("rclone is not installed")
    remote = f':s3,provider=Other,env_auth=true,endpoint="{ENDPOINT}":{BUCKET}'
    rclone = ["rclone", "--config", os.devnull, "--retries", "1", "--low-level-retries", "1"]

    def read():
        check(subprocess.run([*rclone, "cat", f"{remote}/{KEY}"], check=True, stdout=subprocess.PIPE).stdout)
        listed = subprocess.run([*rclone, "lsjson", remote], check=True, stdout=subprocess.PIPE).stdout
        assert [one["Path"] for one in json.loads(listed)] == [KEY], listed

    return read


clients = {}
for name, client in (("boto3", boto3_client), ("s3fs", s3fs_client), ("duckdb", duckdb_client), ("rclone", rclone_client)):
    try:
        clients[name] = client()
    except ImportError as error:
        print(f"SKIPPED: {name}: {error}", flush=True)
for _ in range(int(TIMES)):
    for read in clients.values():
        read()
print(f"{TIMES} times each: {', '.join(clients)}", flush=True)
