"""What the way of enlarging maps does to their scores.

    python -m benchmarks.enlarging MAPS MASKS --sides 288,320,384

Takes published maps as what a network could give: shrinks each to a square, as networks predict it,
and brings it back to its size in each way that ``test.resize`` knows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from engine.prediction import maps_of
from metrics import Evaluator
from utils.schema import RESIZES


def main(arguments: list[str] | None = None) -> int:
    """Print MAE, maxF and meanF of each side and way."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of maps")
    parser.add_argument("masks", type=Path, help="folder of masks with the same stems")
    parser.add_argument("--sides", default="288,320,384", help="of the squares, in pixels")
    parser.add_argument("--limit", type=int, help="only so many maps, the first by name")
    args = parser.parse_args(arguments)
    paths = sorted(args.maps.glob("*.png"))[:args.limit]
    for side in map(int, args.sides.split(",")):
        evaluators = {way: Evaluator(measures=("MAE", "F")) for way in RESIZES}
        for path in paths:
            mask = np.asarray(Image.open(args.masks / path.name).convert("L"))
            whole = Image.open(path).convert("L")
            small = np.asarray(whole.resize((side, side), Image.Resampling.BILINEAR))
            logits = torch.from_numpy(small / 255).float().logit(eps=1e-6)[None, None]
            batch = {"name": [path.name], "size": [mask.shape]}
            for way, evaluator in evaluators.items():
                evaluator.update(path.name, next(maps_of(logits, batch, way)), mask)
        for way, evaluator in evaluators.items():
            scores = evaluator.compute()
            print(f"{side}² {way}:", *(f"{name} {scores[name]:.4f}" for name in
                                       ("MAE", "maxF", "meanF")), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
