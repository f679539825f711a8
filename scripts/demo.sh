#!/usr/bin/env bash
# Traffic for a weir that `make run` started.
source "$(dirname "$0")/env.sh"
need cargo "install Rust with rustup"
cargo build --profile fast --package weir
exec "$TARGET/fast/weir" demo "$@"
