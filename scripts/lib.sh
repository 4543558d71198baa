# shellcheck shell=bash
# Shared by the scripts; sourced, never run. Says where things are and how to
# say things; no side effects but PATH.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Products of this tree: guests, the demo's prefix, test trees.
WORK=$REPO/.work

# What is worth keeping across clones: chroots, pinned tools, downloads.
CACHE=${PROXY_WASM_CACHE:-${HOME:-/root}/.cache/lua-resty-proxy-wasm}
export PROXY_WASM_TOOLS=${PROXY_WASM_TOOLS:-$CACHE}

# The library is built once and used from wherever cargo puts it. Absolute:
# nginx and the chroots have other working directories.
TARGET_DIR=${CARGO_TARGET_DIR:-target}
case $TARGET_DIR in /*) ;; *) TARGET_DIR=$REPO/$TARGET_DIR ;; esac
export PROXY_WASM_LIB_DIR=${PROXY_WASM_LIB_DIR:-$TARGET_DIR/release}
export PROXY_WASM_GUESTS=${PROXY_WASM_GUESTS:-$WORK/guests}

# wasmtime's minimum; Cargo.toml's rust-version says the same.
# shellcheck disable=SC2034
RUST_MIN=1.95

# nginx lives in sbin, and rustup's cargo where only a login shell looks.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
[[ -x ${HOME:-/root}/.cargo/bin/cargo ]] && PATH=${HOME:-/root}/.cargo/bin:$PATH
export PATH

# The gRPC server of the tests in t/, for this python3; another pin is another
# folder.
grpcio_dir() {
    local pin python
    pin=$(sed -n 's/^grpcio==//p' "$REPO/t/lib/requirements.txt")
    python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$CACHE/grpcio-$pin-python$python"
}

step() { printf '==> %s\n' "$*" >&2; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { warn "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [[ $(id -u) == 0 ]]; }

# version_at_least HAVE WANT
version_at_least() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

# The suite that packages are taken from: bookworm, trixie, … or sid, whose
# os-release names the next release.
debian_suite() {
    if grep -qs '/sid' /etc/debian_version; then
        echo sid
    else
        (. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    fi
}

# The mirror of the Debian archive this machine uses itself (never its
# security archive, which is another tree).
debian_mirror() {
    local mirror
    mirror=$(
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
            awk '/^URIs:/ && $2 !~ /security/ { print $2; exit }'
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' |
            grep -v security
    ) || true
    mirror=${mirror%%$'\n'*}
    # apt-transport-mirror files are not plain URLs; debootstrap wants one.
    [[ $mirror == http* ]] ||
        die "no Debian mirror with an http address in /etc/apt: name one there as a source"
    echo "$mirror"
}

# private_apt DIR SUITE…: an apt configuration of our own in DIR (sources,
# lists, cache) next to the system's, which stays as it is. Prints the file to
# export as APT_CONFIG. Other settings (proxies, certificates) stay in force.
private_apt() {
    local dir=$1
    shift
    mkdir -p "$dir"/{sources,lists/partial,cache/archives/partial}
    cat >"$dir/sources/debian.sources" <<END
Types: deb
URIs: $(debian_mirror)
Suites: $*
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
    cat >"$dir/apt.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$dir/sources";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
END
    echo "$dir/apt.conf"
}

# The modules nginx must load to have Lua, one a line: Debian's has it in
# files, OpenResty's built in.
lua_modules() {
    local dir=/usr/lib/nginx/modules
    if [[ -e $dir/ngx_http_lua_module.so ]]; then
        printf '%s\n' "$dir/ndk_http_module.so" "$dir/ngx_http_lua_module.so"
    fi
}

# nginx_main DIR: the directives outside http of a small nginx of our own.
nginx_main() {
    lua_modules | sed 's/.*/load_module &;/'
    # A worker that is nobody could not read below root's home.
    ! is_root || echo "user root;"
    cat <<END
worker_processes 1;
pid $1/nginx.pid;
error_log $1/error.log info;
END
}

# nginx_temp DIR: where it may write, whoever runs it.
nginx_temp() {
    local name
    for name in client_body proxy fastcgi uwsgi scgi; do
        echo "${name}_temp_path $1/tmp/$name;"
    done
}

# free_ports FROM COUNT: the first of COUNT in a row that nobody listens on.
free_ports() {
    local port=$1 last=$(($1 + 500)) i
    while [[ $port -lt $last ]]; do
        for ((i = 0; i < $2; i++)); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$((port + i))") 2>/dev/null; then
                port=$((port + i + 1))
                continue 2
            fi
        done
        echo "$port"
        return
    done
    die "no $2 free ports in a row from $1 on"
}

# nginx_run DIR ARGUMENT…: that nginx, whose files are all in DIR.
nginx_run() {
    local dir=$1
    shift
    nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" "$@"
}

# nginx_stop DIR: waits until it is gone; content if there is none.
nginx_stop() {
    local pid
    pid=$(cat "$1/nginx.pid" 2>/dev/null) || return 0
    nginx_run "$1" -s quit 2>/dev/null || return 0
    for _ in {1..50}; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill "$pid" 2>/dev/null || true
}
