#!/usr/bin/env bash
# cargo with the project's build folder and linker.
source "$(dirname "$0")/env.sh"
need cargo "install Rust with rustup"
exec cargo "$@"
