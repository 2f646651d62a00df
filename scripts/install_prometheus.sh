#!/bin/sh
# Put prometheus and promtool into a folder (by default ~/.local/bin), for the tests of deploy/.
# Nothing is started. Safe to call again; quiet unless it fails.
set -eu

folder="${1:-$HOME/.local/bin}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
if [ -x "$folder/promtool" ] && [ -x "$folder/prometheus" ]; then
    exit 0
fi
if command -v promtool >/dev/null 2>&1 && command -v prometheus >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "install_prometheus: there is no apt-get here; see https://prometheus.io/download" >&2
    exit 1
fi
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
apt-get download -qq -o APT::Sandbox::User=root prometheus
dpkg-deb --extract prometheus_*.deb unpacked
install -m 755 unpacked/usr/bin/prometheus unpacked/usr/bin/promtool "$folder"
