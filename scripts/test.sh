#!/usr/bin/env bash
# Sets everything up and runs the tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh
setup_environment requirements.txt requirements-dev.txt
# Threads that wait by spinning would slow down whatever else computes on these cores.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
# One process a core, up to four, each with a thread of its own.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# The tests start many processes, which would each compile the code anew.
unset PYTHONDONTWRITEBYTECODE
.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal "$@"
