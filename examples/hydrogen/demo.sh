#!/usr/bin/env bash
# Atomic metallic hydrogen at 500 GPa: profile, codes, pseudopotential, then the run. Run it again and it resumes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scripts/profile.sh
. scripts/activate.sh
interrupted() {
    echo
    echo 'Interrupted. The daemon goes on with the calculations: `make demo` shows them again, `make stop` stops it.'
    exit 130
}
trap interrupted INT
aiida-clathrate -p clathrate setup --pseudos /usr/share/espresso/pseudo
python examples/hydrogen/run.py "$@"
verdi -p clathrate daemon stop > /dev/null
