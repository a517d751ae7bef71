#!/usr/bin/env bash
# A subtest is called something else under pytest-xdist: each keyword is passed through repr() once more on its
# way from the worker, so `subtests.test(version=6)` is SUBFAILED(version=6) of one process and
# SUBFAILED(version='6') with -n 1. Whoever compares the summaries of two runs finds no subtest again.
#
# Seen with pytest 9.2.0 and pytest-xdist 3.8.0 on Python 3.11.
# Guestnet's record keeps a subtest's verdict with its scenario and compares none by its words.
#
# Needs PyPI. Prints "as stated" and exits with 0 while this holds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check pytest==9.2.0 pytest-xdist==3.8.0 2>pip.log ||
    { cat pip.log; exit 1; }

cat >test_versions.py <<'PYTHON'
def test_versions(subtests):
    with subtests.test(version=6):
        assert False
PYTHON

run() { venv/bin/python -m pytest -q -p no:cacheprovider "$@" test_versions.py 2>&1 || true; }
alone=$(run | grep -o "^SUBFAILED([^)]*)")
beside=$(run -n 1 | grep -o "^SUBFAILED([^)]*)")
printf 'alone: %s\nwith -n 1: %s\n' "$alone" "$beside"
[ "$alone" = "SUBFAILED(version=6)" ] && [ "$beside" = "SUBFAILED(version='6')" ] || { echo "not as stated"; exit 1; }
echo "as stated"
