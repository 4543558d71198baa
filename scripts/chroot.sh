# shellcheck shell=bash
# Debian chroots; sourced by matrix.sh and demo-in-chroot.sh.
# Needs root, debootstrap and unshare (util-linux).

# A chroot may need whatever this machine needs to reach its package sources:
# names, certificates, apt's own settings and those of the package clients.
# Copied afresh before each use; nothing here knows what is in them.
chroot_copy_network() {
    local dir=$1 file
    cp -L /etc/resolv.conf /etc/hosts "$dir/etc/" 2>/dev/null || true
    # The whole bundle, and what update-ca-certificates would make it from.
    if [[ -s /etc/ssl/certs/ca-certificates.crt ]]; then
        mkdir -p "$dir/etc/ssl/certs"
        cp -L /etc/ssl/certs/ca-certificates.crt "$dir/etc/ssl/certs/"
    fi
    if [[ -d /usr/local/share/ca-certificates ]]; then
        mkdir -p "$dir/usr/local/share/ca-certificates"
        cp -RL /usr/local/share/ca-certificates/. "$dir/usr/local/share/ca-certificates/"
    fi
    # Proxies, time-outs, certificate checks: without the hooks other packages
    # put beside them.
    apt-config dump Acquire | grep ' "' >"$dir/etc/apt/apt.conf.d/99of-the-host" || true
    for file in pip.conf npmrc gitconfig; do
        [[ ! -e /etc/$file ]] || cp -L "/etc/$file" "$dir/etc/"
    done
    for file in .cargo/config.toml .cargo/config .npmrc .config/pip/pip.conf .pip/pip.conf; do
        if [[ -e ${HOME:-/root}/$file ]]; then
            mkdir -p "$dir/root/$(dirname "$file")"
            cp -L "${HOME:-/root}/$file" "$dir/root/$file"
        fi
    done
}

# chroot_sources SUITE DIR: the suite, with what is released after it.
chroot_sources() {
    local suite=$1 dir=$2 mirror security suites=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(debian_mirror)
    [[ $suite == sid ]] || suites="$suite $suite-updates"
    cat >"$dir/etc/apt/sources.list.d/debian.sources" <<END
Types: deb
URIs: $mirror
Suites: $suites
Components: main
Signed-By: $keyring
END
    # The security archive as this machine has it, else where Debian keeps it
    # beside the main one.
    if [[ $suite != sid ]]; then
        security=$(sed -n 's/^URIs: *\([^ ]*security[^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null)
        security=${security%%$'\n'*}
        cat >>"$dir/etc/apt/sources.list.d/debian.sources" <<END

Types: deb
URIs: ${security:-${mirror%/}-security}
Suites: $suite-security
Components: main
Signed-By: $keyring
END
    fi
    : >"$dir/etc/apt/sources.list"
}

# chroot_make SUITE DIR [PACKAGE…]: a minimal Debian of that release. It
# appears at DIR whole or not at all.
chroot_make() {
    local suite=$1 dir=$2 new=$2.new
    shift 2
    rm -rf --one-file-system "$new"
    mkdir -p "$(dirname "$dir")"
    if ! debootstrap --variant=minbase "$suite" "$new" "$(debian_mirror)" >"$dir.log" 2>&1; then
        tail -n 20 "$dir.log" >&2
        rm -rf --one-file-system "$new"
        return 1
    fi
    printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
    chmod 755 "$new/usr/sbin/policy-rc.d"
    chroot_sources "$suite" "$new"
    chroot_copy_network "$new"
    if [[ $# -gt 0 ]] && ! chroot_run "$new" \
        "apt-get update -qq && apt-get install -y -q --no-install-recommends $*" >>"$dir.log" 2>&1; then
        tail -n 20 "$dir.log" >&2
        rm -rf --one-file-system "$new"
        return 1
    fi
    # Packages' maintainer scripts may have rewritten the bundle.
    chroot_copy_network "$new"
    rm -rf --one-file-system "$dir"
    mv "$new" "$dir"
}

# chroot_run DIR COMMAND: COMMAND in a shell in there. Mounts and processes
# belong to namespaces of their own, so both are gone when it ends, whichever
# way it ends. Only locale, terminal and proxy variables go in.
chroot_run() {
    local dir=$1 command=$2 name env=()
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY TERM CI; do
        [[ -z ${!name:-} ]] || env+=("$name=${!name}")
    done
    # shellcheck disable=SC2016
    unshare --mount --propagation private --pid --fork --kill-child -- \
        bash -c 'mount -t proc proc "$1/proc" && exec chroot "$@"' - "$dir" \
        /usr/bin/env -i ${env[@]+"${env[@]}"} HOME=/root USER=root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive \
        SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c "$command"
}

# chroot_copy_repo DIR: the files of this tree to DIR/src, without products.
# Copied, not bound: a test run writes into its tree.
chroot_copy_repo() {
    local dir=$1
    rm -rf --one-file-system "$dir/src"
    mkdir -p "$dir/src"
    tar -C "$REPO" -c --exclude=./target --exclude=./.work --exclude=./.git \
        --exclude='./t/servroot*' --exclude=node_modules . |
        tar -C "$dir/src" -x --no-same-owner
}
