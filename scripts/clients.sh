#!/usr/bin/env bash
# Installs one of the foreign clients that tests run, as pinned in its folder, and prints where it is: clients.sh NAME
#
# The folder is crates/weir/tests/clients/NAME. With a requirements.txt, the place printed is a Python environment; with a
# package-lock.json it holds node_modules. Does nothing, and needs no network, when what is pinned is there already.
source "$(dirname "$0")/env.sh"

name=${1:?clients.sh NAME}
source_folder="crates/weir/tests/clients/$name"
[[ -d "$source_folder" ]] || fail "there is no client $name"
mkdir -p "$TARGET/clients"
place="$(cd "$TARGET/clients" && pwd)/$name"

# Tests run side by side; one of them installs.
exec 9>"$place.lock"
flock 9

wanted=$(cd "$source_folder" && for pins in requirements.txt package-lock.json; do
  [[ ! -f $pins ]] || sha256sum "$pins"
done)
if [[ "$(cat "$place/installed" 2>/dev/null)" != "$wanted" ]]; then
  rm -rf "$place"
  if [[ -f "$source_folder/requirements.txt" ]]; then
    need python3 "run scripts/setup.sh test"
    python3 -m venv "$place"
    # The pins are complete; what old packages say of the versions they need is ten years old.
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
      --requirement "$source_folder/requirements.txt" >&2
  else
    mkdir -p "$place"
    cp "$source_folder"/package.json "$source_folder"/package-lock.json "$place/"
    npm ci --prefix "$place" --omit=optional --ignore-scripts --no-audit --no-fund --silent >&2
  fi
  echo "$wanted" >"$place/installed"
fi
echo "$place"
