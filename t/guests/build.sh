#!/usr/bin/env bash
#
# Builds the plugins that the tests run, into ${GUESTS_OUT:-.work/guests}/NAME.wasm.
#
#     t/guests/build.sh                      all of them
#     t/guests/build.sh --only NAME…         these; a NAME may be a kind: rust sdk as c go wat
#     t/guests/build.sh --list               their kinds and names
#
# What is newer than its sources is left alone; newer means that a hash over the sources is the
# one noted beside the module. Two of these may run at a time: they wait for each other.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT"
SELF=t/guests/build.sh

OUT=${GUESTS_OUT:-.work/guests}
case $OUT in /*) ;; *) OUT=$ROOT/$OUT ;; esac
BUILD=${GUESTS_BUILD:-$ROOT/.work/guest-build}

# The SDK's own examples, out of its published packages: ABI 0.1.0 by _start, and ABI 0.2.1.
SDK_VERSIONS=(0.1.4 0.2.0)
SDK_EXAMPLES=(hello_world http_auth_random http_body http_config http_headers)

die() {
    printf '%s\n' "guests: $*" >&2
    exit 1
}


# --- What there is --------------------------------------------------------------------------

declare -A KIND STAMP
NAMES=()

# add KIND NAME HASH
add() {
    KIND[$2]=$1
    STAMP[$2]=$3
    NAMES+=("$2")
}

# A hash over files and their names, and over this script, which is the recipe.
hash_of() {
    find "$@" -type f ! -path '*/node_modules/*' ! -path '*/target/*' ! -path '*/build/*' \
        -print0 | sort -z | xargs -0 sha256sum "$SELF" | sha256sum | cut -d' ' -f1
}

find_guests() {
    local name sum file version recipe

    sum=$(hash_of t/guests/rust)
    add rust hostcalls "$sum"
    add rust bench "$sum"
    add rust rust_demo "$(hash_of examples/rust-demo)"
    add rust rust_minimal "$(hash_of examples/rust-minimal)"

    recipe=$(sha256sum "$SELF" | cut -d' ' -f1)
    for version in "${SDK_VERSIONS[@]}"; do
        for name in "${SDK_EXAMPLES[@]}"; do
            add sdk "sdk_${version//./_}_$name" "$version $recipe"
        done
    done

    add as as_gcore "$(hash_of t/guests/assemblyscript/gcore)"
    add as as_solo "$(hash_of t/guests/assemblyscript/solo)"
    add c c_headers "$(hash_of t/guests/c)"
    add go go_native "$(hash_of t/guests/go)"
    add go go_big "$(hash_of t/guests/go_big)"

    while read -r sum file; do
        name=${file##*/}
        add wat "${name%.wat}" "$sum $recipe"
    done < <(sha256sum t/guests/wat/*.wat)
}

is_fresh() {
    [ -f "$OUT/$1.wasm" ] && [ "$(cat "$OUT/.stamps/$1" 2>/dev/null)" = "${STAMP[$1]}" ]
}

# install NAME FILE: checks a module and puts it in place at once, as others may be reading.
install_guest() {
    if command -v wasm-validate >/dev/null; then
        # The hostile ones use what only these allow.
        wasm-validate --enable-memory64 --enable-multi-memory --enable-threads "$2" || die "$1: the module is not valid"
    fi
    mkdir -p "$OUT/.stamps"
    cp "$2" "$OUT/.$1.wasm.new"
    mv "$OUT/.$1.wasm.new" "$OUT/$1.wasm"
    printf '%s' "${STAMP[$1]}" >"$OUT/.stamps/$1"
}

# has NAME LIST…
has() {
    local name=$1 other
    shift
    for other in "$@"; do
        [ "$name" = "$other" ] && return 0
    done
    return 1
}

# unless_ok LOG COMMAND…: old code of others, whose warnings only matter when it does not build.
unless_ok() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        return 1
    fi
}


# --- How each kind is built: build_KIND NAME… --------------------------------------------------

build_rust() {
    local cargo name released=$BUILD/rust/wasm32-wasip1/release packages=()
    cargo=$(scripts/toolchain.sh rust)
    for name in "$@"; do
        case $name in rust_*) ;; *) packages+=(-p "$name") ;; esac
    done
    export CARGO_TARGET_DIR=$BUILD/rust
    if [ ${#packages[@]} -gt 0 ]; then
        (cd t/guests/rust && "$cargo" build --quiet --release --locked "${packages[@]}")
    fi
    for name in "$@"; do
        case $name in rust_*) (cd "examples/${name/_/-}" && "$cargo" build --quiet --release --locked) ;; esac
        install_guest "$name" "$released/$name.wasm"
    done
}

build_sdk() {
    local cargo version example source built
    cargo=$(scripts/toolchain.sh rust)
    for version in "${SDK_VERSIONS[@]}"; do
        local wanted=()
        for example in "${SDK_EXAMPLES[@]}"; do
            has "sdk_${version//./_}_$example" "$@" && wanted+=("$example")
        done
        [ ${#wanted[@]} -gt 0 ] || continue

        # A package that depends on it is how cargo comes to fetch it.
        built=$BUILD/sdk-$version
        mkdir -p "$built/fetch"
        cat >"$built/fetch/Cargo.toml" <<EOF
[package]
name = "fetch"
version = "0.0.0"
[lib]
path = "lib.rs"
[dependencies]
proxy-wasm = "=$version"
[workspace]
EOF
        : >"$built/fetch/lib.rs"
        source=$(cd "$built/fetch" && cargo metadata --format-version 1 --quiet |
            grep -o "\"manifest_path\":\"[^\"]*/proxy-wasm-$version/Cargo.toml\"" | head -n 1)
        source=${source#*:\"}
        source=${source%/Cargo.toml\"}
        [ -d "$source/examples" ] || die "proxy-wasm $version has no examples in '$source'"

        # A copy, as the registry's sources are not to be written to; with its times, by which
        # cargo knows what it has built.
        rm -rf "$built/source"
        cp -rp "$source" "$built/source"
        echo '[workspace]' >>"$built/source/Cargo.toml"
        (
            cd "$built/source"
            CARGO_TARGET_DIR=$built/target unless_ok "$built/cargo.log" \
                "$cargo" build --quiet --release --locked --examples
        )
        for example in "${wanted[@]}"; do
            install_guest "sdk_${version//./_}_$example" \
                "$built/target/wasm32-wasip1/release/examples/$example.wasm"
        done
    done
}

build_as() {
    local name sources tools
    for name in "$@"; do
        sources=t/guests/assemblyscript/${name#as_}
        tools=$(scripts/toolchain.sh as "$sources/package-lock.json")
        # The compiler looks for packages beside the sources, where we do not want them.
        rm -rf "${BUILD:?}/$name"
        mkdir -p "$BUILD/$name"
        cp -r "$sources"/. "$BUILD/$name/"
        ln -s "$tools/node_modules" "$BUILD/$name/node_modules"
        (
            cd "$BUILD/$name"
            if [ -f asconfig.json ]; then
                node_modules/.bin/asc assembly/index.ts --target release
            else
                # Options of before there was a file for them.
                unless_ok asc.log node_modules/.bin/asc assembly/index.ts \
                    --use abort=abort_proc_exit --optimize -b build/guest.wasm
            fi
        )
        install_guest "$name" "$BUILD/$name/build/guest.wasm"
    done
}

build_c() {
    local clang name
    clang=$(scripts/toolchain.sh c)
    mkdir -p "$BUILD/c"
    for name in "$@"; do
        "$clang" --target=wasm32 -std=c11 -Os -Wall -Wextra -Wno-unused-parameter -Werror \
            -nostdlib -Wl,--no-entry -o "$BUILD/c/$name.wasm" "t/guests/c/${name#c_}.c"
        install_guest "$name" "$BUILD/c/$name.wasm"
    done
}

build_go() {
    local go name
    go=$(scripts/toolchain.sh go)
    mkdir -p "$BUILD/go"
    for name in "$@"; do
        (
            cd "t/guests/${name%_native}"
            # Nothing is to be fetched, and nothing of the machine's configuration to matter.
            export GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off GOFLAGS=-mod=mod GOENV=off GOWORK=off
            export GOCACHE=$BUILD/go/cache GOPATH=$BUILD/go/path CGO_ENABLED=0
            GOOS=wasip1 GOARCH=wasm "$go" build -buildmode=c-shared -trimpath \
                -o "$BUILD/go/$name.wasm" .
        )
        install_guest "$name" "$BUILD/go/$name.wasm"
    done
}

build_wat() {
    local wat2wasm name
    wat2wasm=$(scripts/toolchain.sh wat)
    mkdir -p "$BUILD/wat"
    for name in "$@"; do
        "$wat2wasm" --debug-names --enable-memory64 --enable-multi-memory --enable-threads \
            "t/guests/wat/$name.wat" -o "$BUILD/wat/$name.wasm"
        install_guest "$name" "$BUILD/wat/$name.wasm"
    done
}


# --- The run ----------------------------------------------------------------------------------

find_guests

case ${1:-} in
    --list)
        for name in "${NAMES[@]}"; do
            printf '%-4s %s\n' "${KIND[$name]}" "$name"
        done
        exit
        ;;
    --only)
        shift
        [ $# -gt 0 ] || die "--only wants names"
        wanted=()
        for name in "${NAMES[@]}"; do
            if has "$name" "$@" || has "${KIND[$name]}" "$@"; then
                wanted+=("$name")
            fi
        done
        for name in "$@"; do
            [ -n "${KIND[$name]:-}" ] || has "$name" "${KIND[@]}" || die "there is no guest '$name'"
        done
        ;;
    "") wanted=("${NAMES[@]}") ;;
    *) die "usage: t/guests/build.sh [--list | --only NAME…]" ;;
esac

# stale KIND: fills TODO with those to build.
stale() {
    local name
    TODO=()
    for name in "${wanted[@]}"; do
        if [ "${KIND[$name]}" = "$1" ] && ! is_fresh "$name"; then
            TODO+=("$name")
        fi
    done
}

mkdir -p "$OUT" "$BUILD"
failed=()
declare -A NEW
for kind in rust c wat as go sdk; do
    stale "$kind"
    [ ${#TODO[@]} -gt 0 ] || continue
    exec 8>"$BUILD/.lock-$kind"
    flock 8
    # Somebody else may have built them meanwhile.
    stale "$kind"
    if [ ${#TODO[@]} -gt 0 ]; then
        # Behind an `if` bash would forget -e; behind & and wait it does not. What is left running
        # must not inherit the lock.
        (exec 8>&-; "build_$kind" "${TODO[@]}") &
        if wait $!; then
            for name in "${TODO[@]}"; do NEW[$name]=built; done
        else
            # Those that came before the one that failed are there.
            for name in "${TODO[@]}"; do
                if is_fresh "$name"; then NEW[$name]=built; else failed+=("$name"); fi
            done
        fi
    fi
    exec 8>&-
done

for name in "${wanted[@]}"; do
    if [ ${#failed[@]} -eq 0 ] || ! has "$name" "${failed[@]}"; then
        printf '%-32s %9d bytes  %s\n' "$name" "$(stat -c %s "$OUT/$name.wasm")" \
            "${NEW[$name]:-}"
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    die "failed: ${failed[*]}"
fi
