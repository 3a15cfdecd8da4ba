#!/usr/bin/env bash
# mysql_common 0.37.3 (crates.io), which mysql_async 0.37 and mysql 28 speak MariaDB's protocol with.
#
# MariaDB's plugin `ed25519` sends 32 random bytes, without a terminator, for the client to sign.
# Seen: `AuthSwitchRequest::plugin_data` drops a last byte that is zero, as if it ended a text. So the client signs 31 bytes, and the
# server answers error 1045 (Access denied) to a right password: in one login of 256, at random, also on connections that a pool opens
# in the middle of a program's run. Met against mariadbd 10.11 as a test that failed once in many runs.
#
# Exit code 0: still so; 1: it behaves otherwise by now; 2: it could not be tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "challenge"
version = "0.0.0"
edition = "2021"

[dependencies]
mysql_common = { version = "=0.37.3", default-features = false }
flate2 = "1"
TOML
cat >"$folder/src/main.rs" <<'RUST'
use mysql_common::io::ParseBuf;
use mysql_common::packets::AuthSwitchRequest;

fn main() {
    for last in [0, 1] {
        let mut packet = b"\xfeclient_ed25519\0".to_vec();
        packet.extend([7; 31]);
        packet.push(last);
        let request: AuthSwitchRequest = ParseBuf(&packet).parse(()).expect("a valid packet");
        println!("{}", request.plugin_data().len());
    }
}
RUST
cargo build --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target" >&2 || exit 2
seen=$("$folder/target/debug/challenge" | paste -sd/)
echo "mysql_common 0.37.3: of a challenge of 32 bytes, those that are left when the last is zero, and when it is not: $seen"
[[ $seen == 31/32 ]]
