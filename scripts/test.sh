#!/usr/bin/env bash
# Sets everything up and runs the tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh
setup_environment requirements.txt requirements-dev.txt
.venv/bin/python -m pytest "$@"
