#!/usr/bin/env bash
# Installs what is missing on a Debian machine (bookworm, trixie, sid), and
# nothing that is there already: with everything present it needs no root.
#
#   scripts/deps.sh [GROUP…]      default: test
#
#   runtime  nginx with lua-nginx-module, lua-cjson
#   build    a Rust new enough for wasmtime, a C compiler, make
#   prove    runtime, grpcio, Test::Nginx and what the tests in t/ call
#   grpcio   a gRPC server for tests, out of a Python package
#   lint     luacheck, shellcheck, and rustfmt and clippy beside Debian's Rust
#   test     all of these and luarocks
#   matrix   debootstrap, for the chroots of other Debian releases
#   conformance  runtime, build, and what fetches Envoy and makes guests for it
#   bench    runtime, build, wrk, python3
#   valgrind build, valgrind, python3
#   demo     runtime, build, curl

set -euo pipefail
. "$(dirname "$0")/lib.sh"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

packages=()    # of the system's own sources
want_rust=     # a Rust from Debian
want_lint=     # rustfmt and clippy that fit it
want_testnginx=
want_grpcio=

installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# need PACKAGE COMMAND…: PACKAGE is missing unless COMMAND succeeds.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || packages+=("$package")
}

rust_is_new_enough() {
    local version
    version=$(cargo --version 2>/dev/null) || return 1
    version=${version#cargo }
    version_at_least "${version%% *}" "$RUST_MIN"
}

# Looked for by path: loading it takes half a second.
test_nginx_is_there() {
    perl -e '-e "$_/Test/Nginx/Socket.pm" and exit 0 for @INC; exit 1'
}

group() {
    case $1 in
    runtime)
        # Any of Debian's nginx flavours will do.
        need nginx-light have nginx
        need libnginx-mod-http-lua installed libnginx-mod-http-lua
        # In bookworm this package is OpenResty's LuaJIT. With the other one
        # (package libluajit-5.1-2, or luajit which brings it in) nginx dies of
        # an undefined symbol. Later releases have OpenResty's under that name.
        if [[ $(debian_suite) == bookworm ]]; then
            need libluajit2-5.1-2 installed libluajit2-5.1-2
        fi
        need lua-cjson installed lua-cjson
        ;;
    build)
        need gcc have cc
        need libc6-dev test -e /usr/include/stdlib.h
        need make have make
        need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
        rust_is_new_enough || want_rust=1
        ;;
    prove)
        group runtime
        need perl have prove
        need python3 have python3
        need curl have curl
        need openssl have openssl
        test_nginx_is_there || want_testnginx=1
        group grpcio
        ;;
    grpcio)
        # Without a python3 it is not known yet for which one.
        if ! have python3 || [[ ! -d $(grpcio_dir) ]]; then
            need python3-pip python3 -m pip --version
            want_grpcio=1
        fi
        ;;
    lint)
        need lua-check have luacheck
        need shellcheck have shellcheck
        # Beside a Rust that is not Debian's, Debian's would be of no use.
        if [[ -n $want_rust ]] || installed cargo || installed cargo-web; then
            { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1 || want_lint=1
        fi
        ;;
    test)
        group build
        group prove
        group lint
        need luarocks have luarocks
        ;;
    conformance)
        group runtime
        group build
        need python3 have python3
        group grpcio
        # A binary wheel is all that is wanted of it.
        need python3-pip python3 -m pip --version
        need wabt have wasm2wat
        ;;
    matrix) need debootstrap have debootstrap ;;
    valgrind)
        group build
        need valgrind have valgrind
        need python3 have python3
        ;;
    bench)
        group runtime
        group build
        need python3 have python3
        need wrk have wrk
        ;;
    demo)
        group runtime
        group build
        need curl have curl
        ;;
    *) die "no group '$1'; the head of this script lists them" ;;
    esac
}

candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: //p'; }

# Sets rust_packages. The ordinary packages of a stable release grow old; the
# -web ones follow what browsers are built with.
choose_rust() {
    local name version
    rust_packages=()
    for name in cargo-web cargo; do
        version=$(candidate "$name")
        if [[ $version == [0-9]* ]] && version_at_least "$version" "$RUST_MIN"; then
            rust_packages=("$name" "rustc${name#cargo}")
            # Debian's names for the linters differ in the word order.
            [[ -z $want_lint ]] || case $name in
            cargo-web) rust_packages+=(rustfmt-web rust-web-clippy) ;;
            cargo) rust_packages+=(rustfmt rust-clippy) ;;
            esac
            return
        fi
    done
    return 1
}

# Debian's nginx would start at once, on port 80, and a chroot has no business
# to start anything either.
without_starting_services() {
    local policy=/usr/sbin/policy-rc.d ours='' status=0
    if [[ ! -e $policy ]]; then
        ours=1
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    "$@" || status=$?
    [[ -z $ours ]] || { rm -f "$policy" && trap - EXIT; }
    return "$status"
}

apt_install() {
    without_starting_services apt-get install -y -q --no-install-recommends \
        -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# Test::Nginx is packaged in sid only, but as architecture-independent Perl it
# suits any release: its one file comes from there, its dependencies from here.
install_testnginx() {
    local dir=$CACHE/apt/sid conf
    if [[ $(debian_suite) == sid ]]; then
        apt_install libtest-nginx-perl
        return
    fi
    conf=$(private_apt "$dir" sid)
    APT_CONFIG=$conf apt-get update -qq
    rm -f "$dir"/libtest-nginx-perl_*.deb
    (cd "$dir" && APT_CONFIG=$conf apt-get download -q libtest-nginx-perl)
    apt_install "$dir"/libtest-nginx-perl_*.deb
}

# A binary package, of which one copy serves all clones.
install_grpcio() {
    local dir new
    dir=$(grpcio_dir)
    new=$dir.new
    step "fetching grpcio into $dir"
    rm -rf "$new"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --only-binary :all: --target "$new" -r "$REPO/t/lib/requirements.txt"
    mv "$new" "$dir"
}

[[ $# -gt 0 ]] || set -- test
for name in "$@"; do
    group "$name"
done

if [[ ${#packages[@]} == 0 && -z $want_rust$want_lint$want_testnginx ]]; then
    [[ -z $want_grpcio ]] || install_grpcio
    exit 0
fi

have apt-get || die "not a Debian machine; missing here:" "${packages[@]}" \
    ${want_rust:+"Rust $RUST_MIN or newer"} ${want_testnginx:+"Test::Nginx 0.32"}

if ! is_root; then
    {
        echo "Missing on this machine, and only root can install it:"
        [[ ${#packages[@]} == 0 ]] || printf '    Debian package %s\n' "${packages[@]}"
        [[ -z $want_rust ]] || echo "    Rust $RUST_MIN or newer (Debian's cargo-web, sid's cargo, or rustup)"
        [[ -z $want_lint ]] || echo "    rustfmt and clippy"
        [[ -z $want_testnginx ]] || echo "    Test::Nginx (libtest-nginx-perl 0.32 from Debian sid)"
        echo "As root: $REPO/scripts/deps.sh $*"
    } >&2
    exit 1
fi

step "installing:" ${packages[@]+"${packages[@]}"} ${want_rust:+"Rust"} \
    ${want_lint:+"rustfmt, clippy"} ${want_testnginx:+"Test::Nginx"}
apt-get update -qq
[[ ${#packages[@]} == 0 ]] || apt_install "${packages[@]}"

if [[ -n $want_rust$want_lint ]]; then
    choose_rust || die "no Rust $RUST_MIN or newer in this machine's package sources:" \
        "add Debian's security archive (cargo-web), or install one by rustup"
    apt_install "${rust_packages[@]}"
    hash -r
    rust_is_new_enough || die "cargo is still older than $RUST_MIN: $(command -v cargo)"
fi

[[ -z $want_testnginx ]] || install_testnginx
[[ -z $want_grpcio ]] || install_grpcio
