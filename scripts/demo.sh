#!/usr/bin/env bash
# Sets everything up and runs the whole way on the built-in sample: train, test, eval, a picture.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh
setup_environment requirements.txt
python=.venv/bin/python

$python -m data sample datasets
$python train.py --config configs/demo.yaml --overwrite
$python test.py --config configs/demo.yaml --show
$python -m data centre-prior datasets/SAMPLE-TE results/centre_prior/SAMPLE-TE
$python eval.py --data SAMPLE-TE
$python -m report page --data SAMPLE-TE
echo "the picture: results/demo/SAMPLE-TE.png (input, ground truth, prediction, overlay)"
echo "all of it in a browser: results/report.html"
