#!/usr/bin/env bash
# Makes what `docker compose up` needs and the repository does not hold; what is there already stays:
#
#   .env                   secrets, drawn at random; for this user alone, never in the repository
#   agent/agent            the binary for the image: AGENT_BINARY, or what `cargo build` makes
#   debian:bookworm-slim   the base image: pulled, or without a registry made by debootstrap
#
# prepare.sh [ENV_FILE]    another file than .env
set -euo pipefail
cd "$(dirname "$0")"
readonly ENV_FILE=${1:-.env} BASE=debian:bookworm-slim

secret() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

secrets() {
    if [[ -s $ENV_FILE ]]; then return; fi
    (umask 077 && cat >"$ENV_FILE") <<ENV
# Made by prepare.sh. Delete it together with the volumes: docker compose down --volumes
COMPOSE_PROJECT_NAME=agent
OWNER_PASSWORD=$(secret 20)
AGENT_PASSWORD=$(secret 20)
STORE_KEY=$(secret 10)
STORE_SECRET=$(secret 20)
ADMINER_PORT=8080
ENV
    echo "$ENV_FILE: new secrets"
}

binary() {
    local made=${AGENT_BINARY:-}
    if [[ -z $made ]]; then
        (cd .. && cargo build --locked --bin agent)
        made=${CARGO_TARGET_DIR:-../target}/debug/agent
    fi
    # Without its symbols it is half as long; beside the old one first, for an image may be built right now.
    strip -o agent/agent.new "$made" 2>/dev/null || cp "$made" agent/agent.new
    chmod 0755 agent/agent.new
    mv agent/agent.new agent/agent
}

# minbase BASE: Debian's own minimal system as an image, with its security updates. In a shell of its own, whose end cleans up.
minbase() (
    ((EUID == 0)) || { echo "debootstrap needs root: sudo bash prepare.sh" >&2; exit 1; }
    command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase bookworm "$root" >/dev/null
    echo "deb http://deb.debian.org/debian-security bookworm-security main" >>"$root/etc/apt/sources.list"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$1" >/dev/null
)

base_image() {
    if docker image inspect "$BASE" >/dev/null 2>&1; then return; fi
    if timeout 60 docker pull "$BASE" >/dev/null 2>&1; then echo "$BASE: pulled"; return; fi
    echo "$BASE: no registry has it; making it with debootstrap"
    minbase "$BASE"
}

secrets
binary
base_image
