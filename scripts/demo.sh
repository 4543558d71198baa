#!/usr/bin/env bash
# Shows the example plugin in a real nginx: installs what is missing, builds
# the library and the plugin, starts nginx on 127.0.0.1, sends requests and
# checks every answer, stops nginx. Exit 0 when all was as expected.
#
#   KEEP=1   leave nginx running, and say how to stop it
#   PORT=n   the first port to try; default 8080

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

DEMO=$WORK/demo
CONF=$DEMO/nginx.conf
plugin=$PROXY_WASM_GUESTS/rust_demo.wasm
failures=0

if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' plain=''
fi

write_conf() {
    local conf
    conf=$(<examples/rust-demo/nginx.conf)
    conf=${conf//@MAIN@/$(nginx_main "$DEMO")}
    conf=${conf//@TEMP@/$(nginx_temp "$DEMO" | sed '2,$s/^/    /')}
    conf=${conf//@REPO@/$REPO}
    conf=${conf//@LIB_DIR@/$PROXY_WASM_LIB_DIR}
    conf=${conf//@PLUGIN@/$plugin}
    conf=${conf//@PORT@/$port}
    conf=${conf//@BACKEND_PORT@/$((port + 1))}
    conf=${conf//@AUTH_PORT@/$((port + 2))}
    printf '%s\n' "$conf" >"$CONF"
}

quote() { sed "s/^/  $dim|$plain /"; }

# expect WHAT PATTERN: the last answer has a line like that.
expect() {
    if grep -qiE -- "$2" <<<"$answer"; then
        printf '  %s✓ %s%s\n' "$green" "$1" "$plain"
    else
        printf '  %s✗ %s: no line like /%s/%s\n' "$red" "$1" "$2" "$plain"
        failures=$((failures + 1))
    fi
}

# ask TITLE EXPLANATION CURL-ARGUMENT…
ask() {
    local title=$1 explanation=$2 word
    shift 2
    printf '\n%s%s%s\n%s\n\n' "$bold" "$title" "$plain" "$explanation"
    printf '  $ curl -i'
    for word in "$@"; do
        [[ $word == *' '* ]] && word="'$word'"
        printf ' %s' "$word"
    done
    echo
    # No proxy, no configuration of the user's; --include comes with \r.
    answer=$(curl -q --noproxy '*' -sS -i --max-time 20 "$@" 2>&1 | tr -d '\r') || true
    quote <<<"$answer"
    echo
}

scripts/deps.sh demo
step "building the library (wasmtime takes some minutes the first time)"
make --no-print-directory build
step "building the plugin, examples/rust-demo"
t/guests/build.sh --only rust_demo
[[ -e $plugin ]] || die "no $plugin"

# One that an earlier KEEP=1 has left.
nginx_stop "$DEMO"
rm -rf "$DEMO"
mkdir -p "$DEMO/tmp"
port=$(free_ports "${PORT:-8080}" 3)
url=http://127.0.0.1:$port
write_conf

step "starting nginx on 127.0.0.1:$port"
trap 'nginx_stop "$DEMO"' EXIT
trap 'exit 1' INT TERM
if ! nginx_run "$DEMO"; then
    tail -n 20 "$DEMO/error.log" >&2 || true
    die "nginx did not start; its configuration is $CONF"
fi

nginx -v 2>&1 | sed 's/^/    /'
for file in examples/rust-demo/src/lib.rs "$CONF"; do
    echo "    ${file#"$REPO/"}"
done

ask "1. A header is added" \
    "The plugin adds x-proxy-wasm to the response of a backend that knows nothing of it." \
    "$url/hello"
expect "the backend answered" '^HTTP/1.1 200'
expect "with the plugin's header" '^x-proxy-wasm: hello from Rust$'

ask "2. The plugin answers itself" \
    "It refuses /blocked: status, header and body are its own, and the backend never hears of it." \
    "$url/blocked"
expect "refused" '^HTTP/1.1 403'
expect "with a header" '^x-blocked-by: rust-demo$'
expect "and a body" '^blocked by a plugin$'

ask "3. A callout, allowed" \
    "The request waits while the plugin asks an authentication service, and goes on with what that said." \
    -H "authorization: Bearer alice-token" "$url/callout"
expect "the backend answered" '^HTTP/1.1 200'
expect "and was told who asks" '^ *x-auth-user: alice$'

ask "4. A callout, refused" \
    "The same without a token: the service says 401, and so does the plugin." \
    "$url/callout"
expect "refused" '^HTTP/1.1 401'
expect "by the plugin" '^who are you\?$'

printf '\n%sWhat the plugin wrote to error.log%s\n\n' "$bold" "$plain"
answer=$(grep -E 'configured with|blocked /' "$DEMO/error.log" || true)
quote <<<"$answer"
echo
expect "its configuration arrived" "configured with 'hello'"
expect "and requests are logged" 'blocked /blocked'
answer=$(grep -E '\[(emerg|alert|crit)\]|panicked|stack traceback' "$DEMO/error.log" || true)
if [[ -n $answer ]]; then
    printf '  %s✗ error.log has worse:%s\n%s\n' "$red" "$plain" "$answer"
    failures=$((failures + 1))
fi

echo
if [[ -n ${KEEP:-} ]]; then
    trap - EXIT
    echo "nginx is still running on $url. To stop it:"
    echo "  nginx -p $DEMO -c $CONF -s quit"
else
    nginx_stop "$DEMO"
    trap - EXIT
    echo "nginx has stopped. \`make demo KEEP=1\` leaves it running; its files are in ${DEMO#"$REPO/"}."
fi
if [[ $failures -gt 0 ]]; then
    die "$failures of the above were not as expected; see $DEMO/error.log"
fi
