#!/usr/bin/env bash
# The page: ui.sh build | check
#   build  into ui/dist, which the program embeds; nothing is done when nothing has changed
#   check  types, unit tests, build
source "$(dirname "$0")/env.sh"
need node "install Node.js 20 or later"
need npm "install Node.js 20 or later with npm"
cd ui

# The lock file decides what is installed; a stamp remembers which one was.
install() {
  local stamp=node_modules/.installed
  if ! cmp --silent package-lock.json "$stamp"; then
    npm ci --no-audit --no-fund
    cp package-lock.json "$stamp"
  fi
}

build() {
  if [[ -f dist/index.html && -z "$(find src index.html public package-lock.json vite.config.ts scripts -newer dist/index.html 2>/dev/null | head -1)" ]]; then
    return
  fi
  install
  npm run build
}

case "${1:-build}" in
  build) build ;;
  check)
    install
    npm run lint
    npm test
    build
    ;;
  *) fail "ui.sh build | check" ;;
esac
