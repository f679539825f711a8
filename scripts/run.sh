#!/usr/bin/env bash
# Builds the program for everyday use (optimised, without the minutes of link-time optimisation that packages get) and
# starts everything on local addresses.
source "$(dirname "$0")/env.sh"
need cargo "install Rust with rustup"
cargo build --profile fast --package weir
exec "$TARGET/fast/weir" run "$@"
