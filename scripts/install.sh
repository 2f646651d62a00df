#!/usr/bin/env bash
# Make .venv as requirements.lock says, every file checked against its hash.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly wanted=3.12
readonly venv=.venv

main() {
    if ! is_wanted "$venv/bin/python"; then
        make_venv
    fi
    local uv
    uv=$(find_uv)
    export VIRTUAL_ENV=$PWD/$venv
    echo "installing $(grep -c '^[A-Za-z0-9]' requirements.lock) packages into $venv"
    # sync removes what the lock does not name, ourselves included, so we come last.
    "$uv" pip sync --quiet --require-hashes requirements.lock
    "$uv" pip install --quiet --no-deps --no-build-isolation --editable .
}

is_wanted() {
    [ -x "$(command -v "$1")" ] &&
        [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$wanted" ]
}

make_venv() {
    local python
    rm -rf "$venv"
    if python=$(find_python); then
        "$python" -m venv "$venv"
    elif command -v uv >/dev/null; then
        uv venv --quiet --python "$wanted" "$venv"
    else
        refuse
    fi
}

find_python() {
    local candidate
    # pyenv's shims are there for versions that are not, so each candidate is asked.
    for candidate in "python$wanted" python3 python "$(pyenv_python)"; do
        if [ -n "$candidate" ] && is_wanted "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

pyenv_python() {
    if command -v pyenv >/dev/null; then
        PYENV_VERSION=$(pyenv latest "$wanted" 2>/dev/null) pyenv which python 2>/dev/null || true
    fi
}

refuse() {
    local found
    found=$(python3 --version 2>&1) || found="no Python"
    cat >&2 <<TEXT
modelyard needs Python $wanted; found: $found.
On another Python the same names resolve to years-old releases of Ludwig and Airflow.
Do one of these, then run make again:
  - install Python $wanted by your system's packages, so that python$wanted is on the PATH
  - pyenv install $wanted
  - install uv (https://docs.astral.sh/uv/), which fetches a Python $wanted by itself
TEXT
    exit 1
}

find_uv() {
    if [ -x "$venv/bin/uv" ]; then
        echo "$venv/bin/uv"
    elif command -v uv >/dev/null; then
        command -v uv
    else
        # The lock's own uv, checked like every other package.
        awk '/^[^ #]/ { ours = /^uv==/ } ours && !/#/' requirements.lock >"$venv/uv.lock"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --require-hashes --requirement "$venv/uv.lock" >&2
        echo "$venv/bin/uv"
    fi
}

main
