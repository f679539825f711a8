#!/usr/bin/env bash
# Installs what is missing on a Debian-like system: setup.sh [test] [bench]
# Asks no questions, may be run again, and installs nothing that is there already.
source "$(dirname "$0")/env.sh"

missing=()

# wants COMMAND PACKAGE: the package when none of the commands (separated by |) is there
wants() {
  local command
  for command in ${1//|/ }; do
    if command -v "$command" >/dev/null || [[ -x "/usr/sbin/$command" ]]; then return; fi
  done
  missing+=("$2")
}

for purpose in "${@:-test}"; do
  wants "cc|gcc|clang" build-essential
  wants curl curl
  case "$purpose" in
    test)
      wants "chromium|chromium-browser|google-chrome|google-chrome-stable" chromium
      wants influxd influxdb
      wants kcat kcat
      # Debian keeps PostgreSQL's programs out of the way.
      compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || wants initdb postgresql
      wants python3 python3
      # Debian keeps what makes environments apart.
      python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
      wants prometheus prometheus
      wants redis-server redis-server
      wants redis-cli redis-tools
      wants rsyslogd rsyslog
      # Its part for TLS is no command.
      compgen -G "/usr/lib/*/rsyslog/lmnsd_gtls.so" >/dev/null || missing+=(rsyslog-gnutls)
      ;;
    bench)
      wants nginx nginx-light
      wants haproxy haproxy
      wants wrk wrk
      wants redis-server redis-server
      ;;
    *) fail "setup.sh [test] [bench]" ;;
  esac
done

if ((${#missing[@]})); then
  say "installing ${missing[*]}"
  command -v apt-get >/dev/null || fail "not a Debian-like system: install ${missing[*]} by hand"
  as_root=()
  if ((EUID != 0)); then
    need sudo "run this as root, or install ${missing[*]} by hand"
    as_root=(sudo)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update --quiet
  # Packages that start a service on installation must not: tests and benchmarks start their own.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
fi

need cargo "install Rust with rustup"
need node "install Node.js 20 or later"
[[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ]] || fail "Node.js 20 or later is needed, this is $(node --version)"
for component in rustfmt clippy; do
  cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
done
