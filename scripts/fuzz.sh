#!/usr/bin/env bash
# Hostile input, for a while: the fuzz targets in fuzz/ where a nightly compiler and cargo-fuzz are installed, and everywhere
# the property tests that take foreign bytes, with many more cases than in `make test`. A case that fails is kept by proptest
# next to its test, to become a regression test.
#   FUZZ_SECONDS=60   for each target, and for the property tests
source "$(dirname "$0")/env.sh"

seconds="${FUZZ_SECONDS:-60}"
if cargo +nightly fuzz --version >/dev/null 2>&1; then
  for file in fuzz/fuzz_targets/*.rs; do
    name="$(basename "$file" .rs)"
    say "fuzzing $name for $seconds seconds"
    cargo +nightly fuzz run "$name" -- -max_total_time="$seconds"
  done
else
  say "no nightly compiler with cargo-fuzz: property tests only"
fi

say "property tests with foreign bytes, at least $seconds seconds"
end=$((SECONDS + seconds))
while ((SECONDS < end)); do
  PROPTEST_CASES="${FUZZ_CASES:-20000}" cargo test --profile fast --workspace --locked --lib --quiet -- \
    foreign trouble panic never hostile total any_
done
