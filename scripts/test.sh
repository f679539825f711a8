#!/usr/bin/env bash
# Everything that must pass. Installs what is missing, needs no questions answered, ends with a summary.
source "$(dirname "$0")/env.sh"
exec </dev/null

scripts/setup.sh test

results=()
failures=()
began=$SECONDS
logs="$(mktemp -d)"
trap 'rm -rf "$logs"' EXIT

# step NAME COMMAND…: runs on after a failure, so that one run shows everything
step() {
  local name=$1 start=$SECONDS verdict=ok log="$logs/${#results[@]}"
  shift
  say "$name"
  "$@" 2>&1 | tee "$log" || { verdict=FAILED; failures+=("$name:$log"); }
  results+=("$(printf '%-28s %-7s %4ss' "$name" "$verdict" "$((SECONDS - start))")")
}

rust_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast && cargo test --workspace --locked --doc --quiet
  else
    cargo test --workspace --locked --no-fail-fast --quiet
  fi
}

step "page: types, tests, build" scripts/ui.sh check
step "format" cargo fmt --all --check
step "clippy" cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings
step "rust tests" rust_tests
step "page in a browser" scripts/e2e.sh

# What failed is said again here, below pages of what did not.
for failure in "${failures[@]}"; do
  say "the end of: ${failure%:*}"
  tail -n 150 "${failure##*:}"
done

say "summary"
printf '  %s\n' "${results[@]}"
printf '  %-28s %s\n' "all in" "$((SECONDS - began))s"
exit "$((${#failures[@]} > 0))"
