#!/usr/bin/env bash
# The demonstration, after scripts/bootstrap.sh: profile, codes, pseudopotential, run, tables and plots.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/activate.sh
scripts/profile.sh

# Debian's own file, so that nothing is downloaded.
pseudos=build/pseudos
mkdir -p "$pseudos"
cp /usr/share/espresso/pseudo/H.pbe-kjpaw.UPF "$pseudos/H.upf"
aiida-clathrate setup --pseudos "$pseudos" --family debian --cutoff-wfc 64 --cutoff-rho 320

python examples/hydrogen/run.py
pk=$(cat demo-results/pk)
echo
aiida-clathrate show "$pk"
aiida-clathrate plot "$pk" --kind all --output demo-results/hydrogen.png
cat <<END

Look further (after \`source scripts/activate.sh\`):
  aiida-clathrate status $pk            every step with its state
  verdi process report $pk              what the work chain did and why
  verdi node graph generate $pk         the provenance as a graph
  aiida-clathrate query                 the table of all critical temperatures
  verdi archive create -N $pk -- hydrogen.aiida
END
