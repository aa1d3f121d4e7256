#!/usr/bin/env bash
# Make a Debian machine ready: system packages, a virtual environment in .venv, and this package in it.
#
#   scripts/bootstrap.sh demo    what `make demo` needs; Quantum ESPRESSO is required
#   scripts/bootstrap.sh tests   the tests too; without Quantum ESPRESSO those marked `qe` are skipped
#   scripts/bootstrap.sh dev     linters and documentation too
#
# PYTHON names the interpreter (default: the first of python3, python3.13 … python3.10 that is new enough).
# What is already there is left alone: a second run takes less than a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

purpose=${1:?usage: scripts/bootstrap.sh demo|tests|dev}
log=build/bootstrap.log
torch=2.13.0
mkdir -p build
: > "$log"

say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }
fail() { printf '\n%s\n' "$*" >&2; exit 1; }

# Run a command with its output in the log; every 15 s say what it is at, and on failure show the end of the log.
quietly() {
    "$@" >> "$log" 2>&1 < /dev/null &
    local job=$! since=$SECONDS
    trap 'kill "$job" 2> /dev/null || true' EXIT
    while kill -0 "$job" 2> /dev/null; do
        sleep 0.2
        if (( SECONDS - since >= 15 )); then
            since=$SECONDS
            say "… $(grep -E '^ *(Get|Unpacking|Setting up|Collecting|Downloading|Using|Installing)' "$log" | tail -n 1 | cut -c 1-90)"
        fi
    done
    trap - EXIT
    wait "$job" || { tail -n 20 "$log" >&2; fail "This failed: $*   (all of its output: $log)"; }
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null; then
            echo "$name"
            return
        fi
    done
}

# Debian packages that are missing, found by what they bring: other sources of the same programs are as good.
missing_packages() {
    local python program
    python=$(find_python)
    [ -n "$python" ] && "$python" -c 'import ensurepip, venv' 2> /dev/null || echo python3-venv
    for program in pw.x ph.x q2r.x matdyn.x; do
        command -v "$program" > /dev/null || { echo quantum-espresso; break; }
    done
    command -v mpirun > /dev/null || echo openmpi-bin
    [ -d /usr/share/espresso/pseudo ] || echo quantum-espresso-data
    command -v gfortran > /dev/null || echo gfortran
    [ -e /usr/include/lapack.h ] || [ -n "$(find /usr/lib -name liblapack.so -print -quit)" ] || echo liblapack-dev
}

install_packages() {
    local missing
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
        say "Installing Debian packages: $missing"
        export DEBIAN_FRONTEND=noninteractive
        quietly apt-get update
        # shellcheck disable=SC2086  # one word for each package
        quietly apt-get install --yes --no-install-recommends $missing
        return
    fi
    printf 'These Debian packages are missing:\n\n' >&2
    printf '    %s\n' $missing >&2
    printf '\nInstall them as root (or ask your administrator), then try again:\n\n    apt-get install %s\n\n' "$missing" >&2
    case "$purpose $missing" in
        *python3-venv* | demo*quantum-espresso* | demo*openmpi-bin*) exit 1 ;;
        *quantum-espresso* | *openmpi-bin*) echo 'Going on: tests that need Quantum ESPRESSO are skipped.' >&2 ;;
        *) echo 'Going on: they are needed only where a Python package has to be compiled.' >&2 ;;
    esac
}

make_environment() {
    local python
    python=$(find_python)
    [ -n "$python" ] || fail 'Python 3.10 or newer is needed. Name one with PYTHON=… in front of the command.'
    if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null; then
        say "Making the virtual environment .venv with $("$python" --version)"
        quietly "$python" -m venv --clear .venv
    fi
}

install_package() {
    local stamp=.venv/.installed-$purpose key target=.
    key=$(cat pyproject.toml scripts/bootstrap.sh | sha256sum | cut -c 1-16)
    [ "$(cat "$stamp" 2> /dev/null)" != "$key" ] || return 0
    [ "$purpose" = demo ] || target=".[$purpose]"
    # Of its own accord pip takes the newest torch, which brings gigabytes for graphics cards.
    if ! .venv/bin/python -c 'import torch' 2> /dev/null; then
        say "Installing torch $torch"
        quietly .venv/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar off "torch==$torch"
    fi
    say 'Installing the package and what it depends on (up to a few minutes on a slow line)'
    quietly .venv/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar off -e "$target"
    echo "$key" > "$stamp"
}

case "$purpose" in demo | tests | dev) ;; *) fail "unknown purpose '$purpose': demo, tests or dev" ;; esac
install_packages
make_environment
install_package
say "Ready: $(.venv/bin/python --version), aiida-clathrate in .venv"
