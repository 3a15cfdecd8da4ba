#!/usr/bin/env bash
# moto 5.2.1, `moto_server` (package moto[server] of PyPI).
#
# Seen: GetBucketVersioning answers with the root element `GetBucketVersioningResponse`; S3's is `VersioningConfiguration`, and clients
# that check it take the answer for an error. A PUT whose Content-MD5 or x-amz-checksum-crc32 does not match the body is accepted;
# S3 answers 400 BadDigest.
#
# Exit code 0: still so; 1: it behaves otherwise by now; 2: it could not be tried.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$folder"' EXIT
{ python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet 'moto[server]==5.2.1'; } >&2 || exit 2
"$folder/venv/bin/moto_server" --host 127.0.0.1 --port 0 2>"$folder/log" >/dev/null &
server=$!
address=
for _ in $(seq 600); do
    address=$(sed -nE 's/.*Running on (http:[^ ]*).*/\1/p' "$folder/log" | head -n 1)
    [[ -n $address ]] && break
    sleep 0.1
done
[[ -n $address ]] || { cat "$folder/log" >&2; exit 2; }

status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
status -X PUT "$address/bucket" >/dev/null
root=$(curl -s "$address/bucket?versioning" | grep -oE '<[A-Z][A-Za-z]*' | head -n 1)
md5=$(status -X PUT -H 'Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==' --data-binary abc "$address/bucket/a")
crc=$(status -X PUT -H 'x-amz-checksum-crc32: AAAAAA==' --data-binary abc "$address/bucket/b")
echo "moto 5.2.1: GetBucketVersioning: $root>; PUT with a wrong Content-MD5: $md5, with a wrong x-amz-checksum-crc32: $crc"
[[ $root/$md5/$crc == '<GetBucketVersioningResponse/200/200' ]]
