#!/usr/bin/env bash
# Hostile input, for a while: the property tests that take foreign bytes, with many more cases than in `make test`.
# A failing case is printed and kept by proptest next to its test, to become a regression test.
source "$(dirname "$0")/env.sh"

seconds="${FUZZ_SECONDS:-60}"
say "property tests with foreign bytes, at least $seconds seconds"
end=$((SECONDS + seconds))
while ((SECONDS < end)); do
  PROPTEST_CASES="${FUZZ_CASES:-20000}" cargo test --profile fast --workspace --locked --lib --quiet -- \
    foreign trouble panic never hostile total any_
done
