# Use the project's own environment and AiiDA profile in this shell:   source scripts/activate.sh
root=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
export AIIDA_PATH=$root/.aiida-clathrate
export PATH=$root/.venv/bin:$PATH
# One thread for each MPI process: threaded linear algebra on top of them only slows both down.
export OMP_NUM_THREADS=1
unset root
