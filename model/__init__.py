"""Networks: one file for each paper. ``trunks`` has the backbones, ``blocks`` what papers share.

A network maps images (N, 3, H, W) to a dict of logits at their size; ``base.Network`` says what
else belongs to it. Networks are built from arguments alone: nothing here reads a file, downloads
or asks for a device. ``utils/weights.py`` loads weights.
"""

from __future__ import annotations

import torch
from omegaconf import DictConfig, OmegaConf

from utils.errors import UserError, nearest
from utils.option import NATIVE
from utils.schema import sides

from .base import Network
from .basnet import BASNet
from .bgnet import BGNet
from .conventions import note_convention
from .cpd import CPD
from .csnet import X1, X2, CSNet
from .dss import DSS
from .edn import EDN
from .egnet import EGNet
from .f3net import F3Net
from .gatenet import GateNet
from .gcpanet import GCPANet
from .hvpnet import HVPNet
from .icon import ICON
from .itsd import ITSD
from .ldf import LDF
from .minet import MINet
from .nldf import NLDF
from .objectives import LabelSmoothing, Objective, TableObjective
from .picanet import PiCANet
from .poolnet import PoolNet
from .ras import RAS
from .samnet import SAMNet
from .scrn import SCRN
from .scwssod import SCWSSOD
from .tracer import TRACER
from .u2net import FULL, SMALL, U2Net
from .wssa import WSSA

#: Name → class, and the options that the name stands for; ``model.options`` of a recipe override
#: them.
_NETWORKS: dict[str, tuple[type[Network], dict]] = {
    "basnet": (BASNet, {"trunk": "resnet34_full"}),
    "bgnet": (BGNet, {"trunk": "res2net50"}),
    "cpd_vgg": (CPD, {"trunk": "vgg16"}),
    "cpd_resnet": (CPD, {"trunk": "resnet50"}),
    "csnet_l_x1": (CSNet, {"widths": X1}),
    "csnet_l_x2": (CSNet, {"widths": X2}),
    "dss_vgg": (DSS, {"trunk": "vgg16"}),
    "edn_vgg": (EDN, {"trunk": "vgg16_bn"}),
    "egnet_resnet": (EGNet, {"trunk": "resnet50_caffe"}),
    "egnet_vgg": (EGNet, {"trunk": "vgg16_caffe"}),
    "f3net": (F3Net, {"trunk": "resnet50"}),
    "gatenet_resnet": (GateNet, {"trunk": "resnet50_dense"}),
    "gatenet_vgg": (GateNet, {"trunk": "vgg16_bn"}),
    "gcpanet": (GCPANet, {"trunk": "resnet50"}),
    "hvpnet": (HVPNet, {"trunk": "hvpnet"}),
    "icon_vgg": (ICON, {"trunk": "vgg16_bn"}),
    "itsd_resnet": (ITSD, {"trunk": "resnet50_split"}),
    "itsd_vgg": (ITSD, {"trunk": "vgg16"}),
    "ldf": (LDF, {"trunk": "resnet50"}),
    "minet_res50": (MINet, {"trunk": "resnet50_split"}),
    "minet_vgg16": (MINet, {"trunk": "vgg16_bn"}),
    "nldf_vgg": (NLDF, {"trunk": "vgg16"}),
    "picanet_vgg": (PiCANet, {"trunk": "vgg16_dense"}),
    "poolnet_joint_resnet": (PoolNet, {"trunk": "resnet50_caffe", "joint": True}),
    "poolnet_joint_vgg": (PoolNet, {"trunk": "vgg16_caffe", "joint": True}),
    "poolnet_resnet": (PoolNet, {"trunk": "resnet50_caffe"}),
    "poolnet_vgg": (PoolNet, {"trunk": "vgg16_caffe"}),
    "ras_resnet": (RAS, {"trunk": "resnet50_split"}),
    "ras_v2": (RAS, {"trunk": "resnet50_split", "norm": True, "finest": 4}),
    "samnet": (SAMNet, {"trunk": "samnet"}),
    "scrn": (SCRN, {"trunk": "resnet50"}),
    "scwssod": (SCWSSOD, {"trunk": "resnet50"}),
    "scwssod_vgg": (SCWSSOD, {"trunk": "vgg16"}),
    "tracer_te0": (TRACER, {"trunk": "efficientnet_b0"}),
    "tracer_te1": (TRACER, {"trunk": "efficientnet_b1"}),
    "tracer_te2": (TRACER, {"trunk": "efficientnet_b2"}),
    "tracer_te3": (TRACER, {"trunk": "efficientnet_b3"}),
    "tracer_te4": (TRACER, {"trunk": "efficientnet_b4"}),
    "tracer_te5": (TRACER, {"trunk": "efficientnet_b5"}),
    "tracer_te6": (TRACER, {"trunk": "efficientnet_b6"}),
    "tracer_te7": (TRACER, {"trunk": "efficientnet_b7"}),
    # TR-R was not released. With the decoder's widths of CPD it has the paper's 25.28 million
    # parameters to the last digit.
    "tracer_resnet50": (TRACER, {"trunk": "resnet50", "widths": (32, 32, 32)}),
    "tracer_vgg": (TRACER, {"trunk": "vgg16"}),
    "u2net": (U2Net, {"widths": FULL}),
    "u2netp": (U2Net, {"widths": SMALL}),
    "wssa": (WSSA, {"trunk": "vgg16"}),
}

__all__ = ["Network", "Objective", "build", "from_recipe", "names", "network_class",
           "note_convention", "objective_of", "options_of", "require_outputs"]


def names() -> list[str]:
    """Names that ``build`` knows; a recipe of that name is in ``configs/``."""
    return sorted(_NETWORKS)


def network_class(name: str) -> type[Network]:
    """The class of the network ``name``.

    Raises:
        UserError: the name is unknown.
    """
    if name not in _NETWORKS:
        raise UserError(f"unknown network {name!r}; {nearest(name, names())}")
    return _NETWORKS[name][0]


def build(name: str, **options) -> Network:
    """The network ``name`` with freshly initialised weights.

    Args:
        options: of its class, such as ``trunk``, and of its trunk.

    Raises:
        UserError: the name is unknown, or the network does not take these options.
    """
    network, given = network_class(name), _NETWORKS[name][1] | options
    try:
        if not isinstance(given.get("trunk", ""), str):
            raise TypeError(f"trunk is a name such as vgg16, not {given['trunk']!r}")
        return network(**given)
    # What is no text or no mapping lacks a method of these; a mapping lacks an entry.
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"network {name!r} does not take these options: {error}") from None


def from_recipe(config: DictConfig) -> Network:
    """The network of a recipe; ``model.options`` go to its constructor.

    Raises:
        UserError: see ``build``; or the network takes no images of the recipe's size.
    """
    kind, size = network_class(config.model.name), config.data.size
    kind.require_any_size() if size == NATIVE else kind.require_size(*sides(size))
    options = options_of(config)
    if kind.wants_statistics:
        options = {name: tuple(config.data[name]) for name in ("mean", "std")} | options
    return build(config.model.name, **options)


def options_of(config: DictConfig) -> dict:
    """The options of a recipe's network: those that its name stands for, and over them
    ``model.options``."""
    return _NETWORKS[config.model.name][1] | OmegaConf.to_container(config.model.options)


def objective_of(config: DictConfig) -> Objective:
    """The objective of a recipe: its table ``loss.terms``, else the network's own class.

    Raises:
        UserError: there is neither, the table is wrong, or an option is unknown.
    """
    variant, options = config.loss.variant, OmegaConf.to_container(config.loss.options)
    if config.loss.terms:
        objective = TableObjective(OmegaConf.to_container(config.loss.terms), variant, options,
                                   without_void=config.data.mask_void == "ignore")
    elif own := network_class(config.model.name).objective:
        try:
            objective = own(variant, **options)
        except TypeError as error:
            raise UserError(f"the objective of {config.model.name} does not take these "
                            f"loss.options: {error}") from None
    else:
        raise UserError(f"loss.terms is empty, and {config.model.name} has no objective of its "
                        "own. Name the losses of its outputs, for example with "
                        "'loss.terms.saliency={bce: 1}'; see docs/objectives.md")
    return LabelSmoothing(objective, config.loss.smoothing) if config.loss.smoothing else objective


def require_outputs(network: Network, objective: Objective) -> None:
    """Run a small black image through a network that was just built, and see what it gives.

    Raises:
        UserError: the objective reads an output that the network does not have.
    """
    side = network.fixed_side or network.smallest_side
    network.eval()
    with torch.no_grad():
        outputs = network(torch.zeros(1, 3, side, side))
    network.train()
    for name in objective.outputs:
        if name not in outputs:
            raise UserError(f"loss.terms.{name}: the network has no output {name!r}; its outputs "
                            f"are {', '.join(outputs)}")
