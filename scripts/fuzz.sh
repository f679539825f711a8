#!/usr/bin/env bash
# Hostile input, for a while: the fuzz targets in fuzz/ with libFuzzer, and the property tests that take foreign bytes, with many
# more cases than in `make test`.
#
# Needs no nightly compiler and no cargo-fuzz: coverage comes from LLVM passes that every rustc has, and libFuzzer is built by
# the crate libfuzzer-sys with the machine's C++ compiler. There is no address sanitizer; the code has no `unsafe` to need one,
# and overflows are checked.
#
#   FUZZ_SECONDS=60       for each target, and for the property tests
#   FUZZ_TARGETS="a b"    only these targets; "none" for the property tests alone
#
# What was found interesting stays in fuzz/corpus/<target>; an input that fails is kept in fuzz/artifacts/<target>, and running
# the target with its path repeats it. A case that a property test fails is kept by proptest next to the test.
source "$(dirname "$0")/env.sh"

seconds="${FUZZ_SECONDS:-60}"
triple="$(rustc -vV | sed -n 's/^host: //p')"
fuzz_target="$(realpath -m "$TARGET")/fuzz"

# Builds one program for each file in fuzz/fuzz_targets. The flags are for this triple only, so build scripts go without.
build() {
  need c++ "install g++"
  local flags="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module"
  flags+=" -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
  flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
  CARGO_TARGET_DIR="$fuzz_target" RUSTFLAGS="$flags" \
    cargo build --manifest-path fuzz/Cargo.toml --release --target "$triple" --quiet
}

# Runs one target and says how often it was executed.
run() {
  local name="$1" corpus="fuzz/corpus/$1" artifacts="fuzz/artifacts/$1/" log
  mkdir -p "$corpus" "$artifacts"
  log="$(mktemp)"
  say "fuzzing $name for $seconds seconds"
  if ! "$fuzz_target/$triple/release/$name" "$corpus" -max_total_time="$seconds" -artifact_prefix="$artifacts" \
    -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 >"$log" 2>&1; then
    tail -n 60 "$log"
    fail "$name failed; the input is in $artifacts"
  fi
  printf '%s: %s executions, no finding\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  rm -f "$log"
}

targets="${FUZZ_TARGETS:-$(basename -s .rs fuzz/fuzz_targets/*.rs)}"
if [[ "$targets" != none ]]; then
  say "building the fuzz targets"
  build
  for name in $targets; do run "$name"; done
fi

say "property tests with foreign bytes, at least $seconds seconds"
end=$((SECONDS + seconds))
while ((SECONDS < end)); do
  PROPTEST_CASES="${FUZZ_CASES:-20000}" cargo test --profile fast --workspace --locked --lib --quiet -- \
    foreign trouble panic never hostile total any_
done
