#!/usr/bin/env bash
# Everything that needs no running program: formatting, clippy, dependency rules, the types of the page.
source "$(dirname "$0")/env.sh"
need cargo "install Rust with rustup"

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- --deny warnings
cargo test --package weir --test tidy --locked --quiet
# Licences, advisories, duplicate versions; needs the advisory database, so only where the tool is installed.
if command -v cargo-deny >/dev/null; then
  cargo deny --all-features check
else
  echo "cargo-deny is not installed: licences and advisories were not checked"
fi
if [[ -f ui/package.json ]]; then
  (cd ui && { [[ -d node_modules ]] || npm ci --no-audit --no-fund; } && npm run lint)
fi
