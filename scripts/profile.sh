#!/usr/bin/env bash
# Make the AiiDA profile `clathrate` in .aiida-clathrate (SQLite and the ZeroMQ broker: no service, no other
# profile is touched), switch caching on for what is expensive, and start the daemon. Harmless to run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/activate.sh

say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }
mkdir -p "$AIIDA_PATH"

if ! verdi -p clathrate computer show localhost > /dev/null 2>&1; then
    # A profile without a computer is what an interruption right here leaves: nothing can have run in it.
    verdi profile show clathrate > /dev/null 2>&1 && verdi profile delete --force --delete-data clathrate > /dev/null
    say 'Making the AiiDA profile clathrate'
    verdi presto --use-zeromq --profile-name clathrate --non-interactive > /dev/null
fi
for pattern in 'aiida.calculations:quantumespresso.*' 'aiida.calculations:clathrate.*'; do
    verdi -p clathrate config set --append caching.enabled_for "$pattern" > /dev/null
done

if ! verdi -p clathrate daemon status > /dev/null 2>&1; then
    say 'Starting the daemon'
    # A daemon that was killed may have lost its list of work: take it from the database again.
    verdi -p clathrate process repair --force > /dev/null 2>&1
    verdi -p clathrate daemon start 1 > /dev/null
fi
say "Profile clathrate in $AIIDA_PATH, daemon running"
