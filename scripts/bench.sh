#!/usr/bin/env bash
# Benchmarks. The crates' own first, then the gateway beside nginx and haproxy; ratios are what counts, since they are
# measured in the same minutes on the same machine. Results also go to bench/results/ as JSON.
#   bench.sh            everything
#   bench.sh crates     the crates' own benchmarks
#   bench.sh gateway    the comparison (ROUNDS=7 SECONDS_PER_RUN=5)
#   bench.sh pump       from Redis to CSV and to the store (RECORDS=200000,2000000; TYK_PUMP=<Tyk Pump's
#                       program> measures that in the same rounds)
source "$(dirname "$0")/env.sh"

what="${1:-all}"
scripts/setup.sh bench

if [[ "$what" == all || "$what" == crates ]]; then
  # All at once: one choice of features, so that what they share is built once.
  cargo bench --workspace --locked --bench '*'
fi

if [[ "$what" == all || "$what" == gateway ]]; then
  say "the gateway beside nginx and haproxy"
  cargo build --release --package weir --locked
  PATH="$PATH:/usr/sbin" node bench/gateway.mjs --weir "$TARGET/release/weir" \
    --rounds "${ROUNDS:-5}" --seconds "${SECONDS_PER_RUN:-5}"
fi

if [[ "$what" == all || "$what" == pump ]]; then
  say "the pump: from Redis to CSV and to the store"
  cargo build --release --package weir --locked
  # Two backlogs, since memory must not depend on it.
  node bench/pump.mjs --weir "$TARGET/release/weir" --output csv,store --records "${RECORDS:-200000,2000000}" \
    --rounds "${ROUNDS:-3}"
  # Tyk's own pump in the same rounds, where its program is at hand.
  if [[ -n "${TYK_PUMP:-}" ]]; then
    node bench/pump.mjs --weir "$TARGET/release/weir" --original "$TYK_PUMP" --output csv,original \
      --records 200000 --rounds "${ROUNDS:-5}"
  fi
fi
