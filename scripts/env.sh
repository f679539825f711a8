# Sourced by the other scripts: where to build, how to speak.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# In CI the checkout is thrown away after the run; what was built is not.
if [[ -n "${CI:-}" && -z "${CARGO_TARGET_DIR:-}" ]]; then
  export CARGO_TARGET_DIR="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/weir/target"
  # Test programs know the folder they were built from. Those of another checkout, which may be gone, are not to be taken.
  if [[ "$(cat "$CARGO_TARGET_DIR/checkout" 2>/dev/null)" != "$PWD" ]]; then
    find crates -name '*.rs' -exec touch {} +
    mkdir -p "$CARGO_TARGET_DIR"
    printf '%s' "$PWD" >"$CARGO_TARGET_DIR/checkout"
  fi
fi
TARGET="${CARGO_TARGET_DIR:-target}"

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

need() {
  command -v "$1" >/dev/null || fail "$1 is missing; $2"
}

# A port nobody uses now.
free_port() {
  node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'
}

# Waits until a URL answers with success: wait_for URL SECONDS
wait_for() {
  for _ in $(seq $(($2 * 10))); do
    curl --silent --fail --output /dev/null --max-time 1 "$1" && return 0
    sleep 0.1
  done
  return 1
}
