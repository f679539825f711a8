#!/usr/bin/env bash
# The page in Chromium against a real weir: a fresh one on free ports, without any calls in it, with a data folder of its
# own. The tests find it by WEIR_URL, WEIR_PROXY_URL and WEIR_ADMIN_URL; they start
# a second one themselves, from WEIR_PROGRAM.
source "$(dirname "$0")/env.sh"

scripts/ui.sh build
cargo build --package weir --locked

work=$(mktemp --directory)
pids=()
finish() {
  local code=$?
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  if ((code != 0)) && [[ -f "$work/weir.log" ]]; then
    printf '\n-- the last lines of weir\n' >&2
    tail -n 40 "$work/weir.log" >&2
  fi
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT

env WEIR_DATA_DIR="$work/data" \
  WEIR_GATEWAY__PROXY_LISTEN=127.0.0.1:0 WEIR_GATEWAY__PROXY_TLS_LISTEN=127.0.0.1:0 \
  WEIR_GATEWAY__ADMIN_LISTEN=127.0.0.1:0 WEIR_SERVER__LISTEN=127.0.0.1:0 \
  "$TARGET/debug/weir" run >"$work/weir.log" 2>&1 &
pids+=($!)

# weir writes the addresses it got into this file once it listens.
run_file="$work/data/run.json"
for _ in $(seq 300); do
  [[ -s "$run_file" ]] && break
  kill -0 "${pids[0]}" 2>/dev/null || fail "weir ended at start"
  sleep 0.1
done
address() { node -p "JSON.parse(require('fs').readFileSync('$run_file'))['$1']"; }
export WEIR_PROGRAM="$TARGET/debug/weir"
export WEIR_URL="http://$(address server)" WEIR_PROXY_URL="http://$(address proxy)" WEIR_ADMIN_URL="http://$(address admin)"
wait_for "$WEIR_URL/readyz" 30 || fail "weir was not ready in time"

for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
  if [[ -n "$browser" ]] && command -v "$browser" >/dev/null; then
    export CHROMIUM="$(command -v "$browser")"
    break
  fi
done
[[ -n "${CHROMIUM:-}" ]] || fail "no Chromium; run scripts/setup.sh test"
cd ui
npm run e2e
