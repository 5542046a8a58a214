"""Saliency and edges learned together, each from a set of its own (PoolNet's joint training).

Sample i of an epoch joins pair i of the longer set with pair i modulo the length of the shorter
one. It has the layers of the saliency set, and ``edge_image`` and ``edge`` of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset

from utils.errors import UserError, counted, list_problems
from utils.paths import ROOT
from utils.world import World

from .catalog import find_set
from .checked import Checked
from .coding import with_coding
from .loader import Draw, SaliencyData
from .pairing import Names, Pair
from .sizes import Size
from .split import evenly_spaced
from .stems import read_lines

LIST = ".lst"  # what the name of a list of pairs ends with


def find_edge_pairs(config: DictConfig) -> list[Pair]:
    """Images with their edge maps, of the sets that ``data.edge_train`` names; of these too
    ``data.limit`` takes only so many, as an epoch is as long as the longer set.

    Raises:
        UserError: a set is not found or its files do not pair up; another key names edges, too.
    """
    data, pairs = config.data, []
    if not data.edge_train:
        return pairs
    if data.edges != "none":
        raise UserError(f"data.edge_train={list(data.edge_train)} and data.edges={data.edges} name "
                        "two sources of edges; set one of them to [] or none")
    if config.val.watch == "loss" and (config.val.data or config.val.fraction):
        raise UserError("val.watch=loss: the pairs of a validation have no edges where "
                        "data.edge_train names a set of its own for them; take val.watch=MAE")
    root = ROOT / data.root
    for spec in data.edge_train:
        try:
            read = read_list(root / spec) if spec.endswith(LIST) else \
                find_set(spec, root, Names(recursive=data.recursive)).pairs
        except UserError as error:
            raise UserError(f"data.edge_train: {error}\nThe recipe learns edges from this set. "
                            "docs/poolnet.md says where it is from. Without it, data.edge_train=[] "
                            "data.edges=mask learns the outlines of the masks, which is another "
                            "training.") from None
        named = [replace(pair, mask=None, codings={}, edge=pair.mask or pair.edge)
                 for pair in read]
        pairs += with_coding(named, part="edge")
    if not pairs:
        raise UserError(f"data.edge_train={list(data.edge_train)}: there are no pairs in it")
    chosen = evenly_spaced(pairs, config.data.limit)
    limited = f" (data.limit={config.data.limit} of {len(pairs)})" if config.data.limit else ""
    print(f"edges: {len(chosen)} pairs of their own to learn from{limited}")
    return chosen


def read_list(path: Path) -> list[Pair]:
    """The pairs of a list as edge detection has them: a line is an image and its edge map, parted
    by a space, relative to the list's folder.

    Raises:
        UserError: it cannot be read, a line has another form, or files are missing.
    """
    pairs, problems = [], []
    for number, line in read_lines(path):
        words = line.split()
        files = [path.parent / word for word in words]
        if len(files) != 2:
            problems.append(f"line {number} names {counted(len(files), 'file')}: {line!r}")
        elif missing := [file for file in files if not file.is_file()]:
            problems.append(f"line {number}: no file {missing[0]}")
        else:
            pairs.append(Pair(str(Path(words[0]).with_suffix("")), files[0], edge=files[1]))
    if problems:
        raise UserError(list_problems(f"{path}: not a list of images and edge maps", problems))
    return pairs


class JointData(Dataset):
    """Saliency pairs, each joined with an image and an edge map of another set.

    The second set is read as it is: not augmented, as in the released code, and not cached. Its
    edges above one half become 1; those below keep their value, which balanced losses leave out.

    Args:
        saliency: the augmented pairs.
        edges: the pairs of the other set.
        config: a recipe's ``data`` group.
        targets: the layers that the losses learn from.

    Raises:
        UserError: no loss learns from edges.
    """

    def __init__(self, saliency: SaliencyData, edges: Sequence[Pair], config: DictConfig,
                 targets: Sequence[str]):
        if "edge" not in targets:
            raise UserError("data.edge_train names a set to learn edges from, but no loss has the "
                            "target edge; take data.edge_train=[]")
        self.saliency = saliency
        self.edges = SaliencyData(edges, OmegaConf.merge(config, {"edges": "files"}),
                                  augmented=False, targets=["edge"])
        self.sizes, self.options = saliency.sizes, saliency.options
        self.own = [*saliency.own, *self.edges.own]  # of pairs of both sets
        self.pixel_bytes = saliency.pixel_bytes + self.edges.pixel_bytes
        self.fork_only = saliency.fork_only

    @property
    def usual_size(self) -> Size:
        """See ``SaliencyData``."""
        return self.saliency.usual_size

    @property
    def cache_to_come(self) -> int:
        """See ``SaliencyData``."""
        return self.saliency.cache_to_come

    def __len__(self) -> int:
        return max(len(self.saliency), len(self.edges))

    def __getitem__(self, draw: Draw) -> dict:
        sample, other = (data[replace(draw, index=draw.index % len(data))]
                         for data in (self.saliency, self.edges))
        edge = torch.where(other["edge"] > 127, 255, other["edge"])
        return {**sample, "edge_image": other["image"], "edge": edge}

    def require_layers(self, targets: Sequence[str]) -> None:
        """See ``SaliencyData``."""
        self.saliency.require_layers([name for name in targets if name != "edge"])

    def require_sound(self, title: str, world: World | None = None,
                      checked: Checked | None = None) -> None:
        """See ``SaliencyData``."""
        self.saliency.require_sound(title, world, checked)
        self.edges.require_sound("images and edges of data.edge_train", world, checked)
