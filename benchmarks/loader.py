"""Loading alone: a plain Pillow pipeline against this repository's loader, in one run.

    python -m benchmarks.loader [--data DUTS-TR --root datasets] [--pairs 1000] [--workers 2]

Plain: decode, ``Resize``, ``ToTensor``, ``Normalize`` per sample in loader processes, as the
released codes do. Ours: ``data.loader.training_loader`` without a cache; the check that train.py
makes first, which fills the cache; and epochs from the cache. Both give the same float tensors; the
largest difference is printed. Without ``--data``, pairs are made (the sample, at 400×300).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from data import Pair, find_pairs
from data.loader import Batches, training_loader
from data.sample import draw_pair
from utils.config import default_config
from utils.device import keep_freed_memory
from utils.paths import DATASETS
from utils.schema import sides

EPOCHS = 3


class Plain(Dataset):
    """What the released loaders do for each sample."""

    def __init__(self, pairs: list[Pair], config: DictConfig):
        self.pairs, self.std = pairs, torch.tensor(config.std).view(3, 1, 1)
        self.mask = transforms.Compose([transforms.Resize(sides(config.size)),
                                        transforms.ToTensor()])
        self.image = transforms.Compose([self.mask, transforms.Normalize(config.mean, config.std)])

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        pair = self.pairs[index]
        return (self.image(Image.open(pair.image).convert("RGB")),
                self.mask(Image.open(pair.mask).convert("L")))


def make_pairs(folder: Path, count: int) -> list[Pair]:
    """Images of the size of the published sets' (400×300), as JPEG, with PNG masks."""
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number in range(count):
        image, mask = (Image.fromarray(part).resize((400, 300)) for part in draw_pair(random))
        image.save(folder / "images" / f"{number:04d}.jpg", quality=92)
        mask.save(folder / "masks" / f"{number:04d}.png")
    return find_pairs(str(folder), folder)


def differences(plain: Plain, ours: Batches) -> tuple[float, float]:
    """Largest difference of images and of masks, in units of 1/255."""
    index = {pair.name: number for number, pair in enumerate(plain.pairs)}
    images = masks = 0.0
    for batch in ours:
        for name, image, mask in zip(batch["name"], batch["image"], batch["mask"], strict=True):
            expected = plain[index[name]]
            images = max(images, ((image - expected[0]).abs() * plain.std).max().item())
            masks = max(masks, (mask - expected[1]).abs().max().item())
    return images * 255, masks * 255


def compare(pairs: list[Pair], size: int, batch: int, workers: int) -> None:
    config = OmegaConf.merge(default_config().data,
                             {"size": size, "workers": workers, "soft_mask": True})
    plain = Plain(pairs, config)
    without = training_loader(pairs, OmegaConf.merge(config, {"cache": "none"}), batch, seed=0)
    cached = training_loader(pairs, config, batch, seed=0)
    start = time.perf_counter()
    cached.data.require_sound("files")
    filling = time.perf_counter() - start
    sides = {
        "plain": DataLoader(plain, batch, shuffle=True, num_workers=workers,
                            persistent_workers=workers > 0),
        "ours, no cache": without, "ours, cached": cached}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(EPOCHS + 1):
        for name, loader in sides.items():  # in turns: a machine's speed drifts
            start = time.perf_counter()
            for _ in loader:
                pass
            seconds[name].append(time.perf_counter() - start)
    # The first epoch starts the processes.
    middle = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}
    for name, taken in middle.items():
        print(f"{name:15} {len(pairs) / taken:6.0f} images/s, ratio {middle['plain'] / taken:.2f}")
    print(f"{'filling':15} {len(pairs) / filling:6.0f} pairs/s, once: reads and checks every file")
    for epochs in (1, 10):
        ratio = epochs * middle["plain"] / (filling + epochs * middle["ours, cached"])
        print(f"{'':15} filling and {epochs} epoch(s) from the cache: ratio {ratio:.2f}")
    print("largest difference, of 255: images {:.3f}, masks {:.3f} (colour masks are read by their "
          "strongest channel here)".format(*differences(plain, cached)))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="SET")
    parser.add_argument("--root", type=Path, default=DATASETS)
    for name, value in {"pairs": 1000, "size": 352, "batch": 10, "workers": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args(argv)
    keep_freed_memory()  # as train.py does; it serves both sides
    with tempfile.TemporaryDirectory() as folder:
        pairs = find_pairs(args.data, args.root)[:args.pairs] if args.data \
            else make_pairs(Path(folder), args.pairs)
        print(f"{len(pairs)} pairs, {args.size}×{args.size}, batch {args.batch}, "
              f"{args.workers} loader processes")
        compare(pairs, args.size, args.batch, args.workers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
