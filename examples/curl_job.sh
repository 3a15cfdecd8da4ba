#!/usr/bin/env bash
# The average of a field, computed by curl and awk: ranged requests one after the other, in constant memory.
#
#   apt-get install curl (7.75 or newer) mawk
#   curl_job.sh [FIELD]            (default: cholesterol)
#
# Reads JSON as the published data set is laid out: each member on a line of its own, `{` at the beginning of a record.
set -euo pipefail

field=${1:-cholesterol}

# A key may hold anything; in a URL, all but these letters and signs are written as their bytes.
percent_encoded() {
    local LC_ALL=C text=$1 i character
    for ((i = 0; i < ${#text}; i++)); do
        character=${text:i:1}
        case $character in
            [a-zA-Z0-9._~/-]) printf %s "$character" ;;
            *) printf '%%%02X' "$(($(printf %d "'$character") & 255))" ;;
        esac
    done
}
url=$AWS_ENDPOINT_URL/$AGENT_BUCKET/$(percent_encoded "$AGENT_KEY")

read_ranges() {
    local start end
    for ((start = 0; start < AGENT_BYTES; start += AGENT_REQUEST_BYTES)); do
        end=$((start + AGENT_REQUEST_BYTES < AGENT_BYTES ? start + AGENT_REQUEST_BYTES : AGENT_BYTES))
        # The secret goes through a pipe: arguments can be read by everybody on the machine.
        printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" |
            curl --config - --aws-sigv4 "aws:amz:$AWS_REGION:s3" --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
                --range "$start-$((end - 1))" --path-as-is --fail --silent --show-error "$url"
    done
}

started=$(date +%s.%N)
read_ranges | awk -v member="\"$field\":" -v started="$started" '
    /^{/ { records++ }
    index($0, member) == 1 {
        value = substr($0, length(member) + 1)
        sub(/^ +/, "", value)
        if (value ~ /^-?[0-9]/) { sum += value; used++ }
    }
    END {
        "date +%s.%N" | getline ended
        result = used ? sprintf("%.17g", sum / used) : "null"
        printf "{\"records\": %d, \"skipped_records\": %d, ", records, records - used
        printf "\"execution_time_s\": %.6f, \"result\": \"%s\"}\n", ended - started, result
    }'
