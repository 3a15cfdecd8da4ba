"""Programs of others that write an object through an agent's S3 endpoint, and read it back at once.

Arguments: endpoint, bucket, key. Prints what each did; ends with 1 when one was told something else than what it wrote.
"""

import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

ENDPOINT, BUCKET, KEY = sys.argv[1:4]
# More than any client sends in one request.
LARGE = 20_000_000


def with_boto3():
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from botocore.exceptions import ClientError

    s3 = boto3.client("s3", endpoint_url=ENDPOINT, region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    records = json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())

    def check(written):
        found = s3.get_object(Bucket=BUCKET, Key=KEY)
        assert found["Body"].read() == written, "it reads something else"
        head = s3.head_object(Bucket=BUCKET, Key=KEY)
        assert head["ETag"].strip('"') == hashlib.sha256(written).hexdigest(), head["ETag"]
        assert head["ContentLength"] == len(written)

    one_more = json.dumps(records + records[:1]).encode()
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=one_more, ContentType="application/json")
    check(one_more)
    large = one_more + b" " * LARGE
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(large), BUCKET, KEY, Config=parts)
    check(large)
    try:
        s3.delete_object(Bucket=BUCKET, Key=KEY)
        raise AssertionError("all of a data set was deleted")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error
    return check, one_more


def with_s3fs(check, content):
    import s3fs

    files = s3fs.S3FileSystem(client_kwargs={"endpoint_url": ENDPOINT, "region_name": "us-east-1"}, use_listings_cache=False)
    with files.open(f"{BUCKET}/{KEY}", "wb") as file:
        file.write(content + b" ")
    check(content + b" ")


def with_rclone(check, content):
    content = content + b"  "
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "source.json")
        with open(source, "wb") as file:
            file.write(content)
        remote = f':s3,provider=Other,env_auth=true,endpoint="{ENDPOINT}",no_check_bucket=true:{BUCKET}/{KEY}'
        subprocess.run(["rclone", "--config", "/dev/null", "--retries", "1", "copyto", source, remote], check=True)
    check(content)


def main():
    if importlib.util.find_spec("boto3") is None:
        print("SKIPPED: boto3 is not installed (pip install boto3)")
        return
    check, content = with_boto3()
    print("boto3: right")
    for name, there, write in [
        ("s3fs", importlib.util.find_spec("s3fs") is not None, with_s3fs),
        ("rclone", shutil.which("rclone") is not None, with_rclone),
    ]:
        if there:
            write(check, content)
            print(f"{name}: right")
        else:
            print(f"SKIPPED: {name} is not installed")


main()
