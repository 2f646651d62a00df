#!/usr/bin/env bash
# All tests but the nightly ones: those that need no stack in two processes, then the others in turn.
# Arguments go to pytest, such as: scripts/test.sh tests/store -x
set -euo pipefail
cd "$(dirname "$0")/.."

readonly pytest=.venv/bin/pytest
readonly none_collected=5

status=0
# One thread each: two processes of PyTorch that each take all cores hinder one another.
OMP_NUM_THREADS=1 "$pytest" -m "not stack and not nightly" -n 2 --dist loadfile "$@" || status=$?
if [ "$status" -ne 0 ] && [ "$status" -ne "$none_collected" ]; then
    exit "$status"
fi
stack=0
"$pytest" -m "stack and not nightly" "$@" || stack=$?
if [ "$status" -eq "$none_collected" ] && [ "$stack" -eq "$none_collected" ]; then
    exit "$none_collected"
fi
[ "$stack" -eq "$none_collected" ] || exit "$stack"
