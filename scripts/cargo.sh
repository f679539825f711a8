#!/usr/bin/env bash
# cargo with the build folder of the project.
source "$(dirname "$0")/env.sh"
need cargo "install Rust with rustup"
exec cargo "$@"
