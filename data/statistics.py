"""Mean and standard deviation of the published sets' images, RGB in 0 … 255: the numbers in the
codes of SCWSSOD and GCPANet, which normalise every test set with its own."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from .catalog import lookup

STATISTICS = {
    "DUTS-TR": ((124.55, 118.90, 102.94), (56.77, 55.97, 57.50)),
    "DUTS-TE": ((124.55, 118.90, 102.94), (56.77, 55.97, 57.50)),
    "ECSSD": ((117.15, 112.48, 92.86), (56.36, 53.82, 54.23)),
    "DUT-OMRON": ((120.61, 121.86, 114.92), (58.10, 57.16, 61.09)),
    "PASCAL-S": ((117.02, 112.75, 102.48), (59.81, 58.96, 60.44)),
    "HKU-IS": ((123.58, 121.69, 104.22), (55.40, 53.55, 55.19)),
    "SOD": ((109.91, 112.13, 93.90), (53.29, 50.45, 48.06)),
    "THUR15K": ((122.60, 120.28, 104.46), (55.99, 55.39, 56.97)),
}


def with_statistics_of(name: str, config: DictConfig) -> DictConfig:
    """A recipe's ``data`` group with the mean and deviation of the set ``name``, as the catalog
    knows it; unchanged, with a note, for a set that is not in the table."""
    entry = lookup(name)
    if entry is None or entry.name not in STATISTICS:
        print(f"note: {name}: no statistics of its own are known, the recipe's are used")
        return config
    mean, std = ([value / 255 for value in values] for values in STATISTICS[entry.name])
    return OmegaConf.merge(config, {"mean": mean, "std": std})
