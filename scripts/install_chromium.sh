#!/usr/bin/env bash
# Install Debian's Chromium for the tests of web pages, if no Chromium is there yet.
set -euo pipefail

main() {
    if find_chromium >/dev/null; then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        refuse "this system has no apt-get"
    fi
    local log
    log=$(mktemp)
    echo "installing chromium"
    if ! install_packages >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        refuse "apt-get could not install it"
    fi
    rm -f "$log"
    find_chromium >/dev/null || refuse "the package chromium brought no browser"
}

find_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

install_packages() {
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends chromium fonts-liberation
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        echo "this needs root, or sudo without a password" >&2
        return 1
    fi
}

refuse() {
    echo "the tests of web pages need Chromium: $1" >&2
    echo "install a Chromium so that chromium is on the PATH, then run make test again" >&2
    exit 1
}

main
