#!/usr/bin/env bash
# The curl commands of the plugins' documentation, in every spelling and at every scope: each must give 201, and a call through the
# gateway must then be seen at the receiver. The lines that name the receiver are ours; everything else is as documented.
#
#   ADMIN, PROXY, RECEIVER   base addresses
#   UPSTREAM                 address of an API
set -euo pipefail

host="${RECEIVER#http://}"
port="${host##*:}"
host="${host%:*}"
count=0

# post PATH FIELD=VALUE…: prints the answer; fails unless it is 201
post() {
  local path="$1" arguments=() answer
  shift
  for field in "$@"; do arguments+=(--data "$field"); done
  answer="$(curl --silent --show-error --write-out '\n%{http_code}' --request POST "$ADMIN$path" "${arguments[@]}")"
  if [[ "${answer##*$'\n'}" != 201 ]]; then
    printf 'POST %s %s: %s\n' "$path" "$*" "$answer" >&2
    return 1
  fi
  printf '%s' "${answer%$'\n'*}"
}

# The id of an entity, not those of the entities it refers to.
id_of() { sed -E 's/\{"id":"[^"]*"\}//g; s/.*"id":"([^"]+)".*/\1/' <<<"$1"; }

# check NAME SPELLING PATH [FIELD=VALUE…]: configures the plugin, calls through it, waits for the report, removes it.
# SPELLING is what stands before the names of settings: nothing, "value." or "config.".
check() {
  local name="$1" prefix="$2" path="$3" word plugin id
  shift 3
  count=$((count + 1))
  word="word-$count-end"
  local fields=("name=$name") setting
  while read -r setting; do
    [[ -n "$setting" ]] && fields+=("$prefix${setting//WORD/$word}")
  done < <("settings_of_${name//-/_}")
  plugin="$(post "$path" "${fields[@]}" "$@")"
  [[ "$plugin" == *"\"name\":\"$name\""* ]] || { printf 'not named %s: %s\n' "$name" "$plugin" >&2; return 1; }
  id="$(id_of "$plugin")"
  for base in orders shop; do
    curl --silent --fail --output /dev/null --header 'apikey: jane-key' "$PROXY/$base/$word"
  done
  for ((tries = 0; ; tries++)); do
    if curl --silent --fail --output /dev/null "$RECEIVER/seen/$word"; then break; fi
    ((tries < 600)) || { printf '%s %s %s: the call was not reported\n' "$name" "$prefix" "$path" >&2; return 1; }
    sleep 0.05
  done
  curl --silent --fail --output /dev/null --request DELETE "$ADMIN/plugins/$id"
}

settings_of_galileo() {
  printf '%s\n' service_token=WORD environment=staging log_bodies=true retry_count=10 connection_timeout=30 \
    flush_timeout=0.1 queue_size=1000 "host=$host" "port=$port" https=false https_verify=false
}
settings_of_mashape_analytics() {
  printf '%s\n' service_token=WORD environment=staging batch_size=100 log_body=true delay=0.1 "host=$host" "port=$port" \
    path=/1.0.0/batch max_sending_queue_size=10
}
settings_of_analytics() { settings_of_mashape_analytics; }
settings_of_moesif() {
  printf '%s\n' application_id=WORD "api_endpoint=$RECEIVER" timeout=1000 keepalive=5000 api_version=1.0 \
    disable_capture_request_body=false disable_capture_response_body=false request_masks=password response_masks=token \
    batch_size=25
}

settings_of_runscope() {
  printf '%s\n' access_token=WORD bucket_key=b1 "api_endpoint=$RECEIVER" timeout=10000 keepalive=30 log_body=true
}

# One API of the early kind, one service with a route, a consumer with a key that both ask for.
post /apis name=orders uris=/orders "upstream_url=$UPSTREAM" >/dev/null
post /services name=shop "url=$UPSTREAM" >/dev/null
post /services/shop/routes name=all 'paths[]=/shop' >/dev/null
post /plugins name=key-auth >/dev/null
consumer="$(id_of "$(post /consumers username=jane)")"
post /consumers/jane/key-auth key=jane-key >/dev/null

for name in ${PLUGINS:?names of plugins}; do
  for spelling in '' value. config.; do
    check "$name" "$spelling" /apis/orders/plugins/
  done
  check "$name" '' /services/shop/plugins
  check "$name" config. /services/shop/plugins/
  check "$name" config. /routes/all/plugins
  check "$name" config. /consumers/jane/plugins
  check "$name" value. /plugins/ "consumer_id=$consumer"
  check "$name" config. /apis/orders/plugins/ "consumer_id=$consumer"
  check "$name" config. /plugins/
done
printf '%s commands, each 201 and its call seen at the receiver\n' "$count"
