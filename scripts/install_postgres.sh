#!/bin/sh
# Install the PostgreSQL server's programs where they are missing; the tests start their own server.
# Safe to call again; quiet unless it fails.
set -eu

found() {
    command -v postgres >/dev/null 2>&1 && command -v initdb >/dev/null 2>&1 && return 0
    for program in /usr/lib/postgresql/*/bin/postgres /opt/homebrew/opt/postgresql*/bin/postgres; do
        [ -x "$program" ] && return 0
    done
    return 1
}

refuse() {
    echo "install_postgres: $1" >&2
    echo "install_postgres: install PostgreSQL 14 or newer by hand, so that postgres and initdb are in PATH" >&2
    exit 1
}

if found; then
    exit 0
fi
command -v apt-get >/dev/null 2>&1 || refuse "PostgreSQL is missing, and there is no apt-get here"
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    refuse "PostgreSQL is missing, and installing it needs root, or sudo without a password"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Debian would make and start a cluster of its own, which nothing here uses.
settings=/etc/postgresql-common/createcluster.conf
if [ ! -e "$settings" ]; then
    $as_root mkdir -p "${settings%/*}"
    echo "create_main_cluster = false" | $as_root tee "$settings" >/dev/null
fi
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1
}
# A configuration file that is there already must not stop the installation with a question.
options="-y --no-install-recommends -o Dpkg::Options::=--force-confold"
# shellcheck disable=SC2086 # the options are words
if ! install install $options postgresql; then
    # shellcheck disable=SC2086
    if ! { install update && install install $options postgresql; }; then
        tail -n 20 "$log" >&2
        refuse "apt-get could not install it, see above"
    fi
fi
found || refuse "apt-get installed the package, but there is no postgres program"
