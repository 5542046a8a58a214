"""Entry points for torch.hub: every network by its name, and ``predictor``.

    network = torch.hub.load("PATH", "cpd_vgg", source="local", weights="CPD.pth")
    predictor = torch.hub.load("PATH", "predictor", "u2netp", source="local")

PATH is a clone of this repository; docs/python.md shows both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

dependencies = ["cv2", "imageio", "omegaconf", "PIL", "torch", "torchvision"]

_ROOT = Path(__file__).resolve().parent
for _name in ("data", "engine", "losses", "model", "utils"):
    _other = sys.modules.get(_name)
    if _other and Path(getattr(_other, "__file__", None) or "/").resolve().parent != _ROOT / _name:
        raise ImportError(f"{_ROOT}: its package {_name!r} cannot be imported, because this "
                          f"process has imported another of that name: {_other}. Load the networks "
                          "in a process of their own, or before the other one is imported.")

import model  # noqa: E402
from engine.predictor import Predictor  # noqa: E402
from utils.official import official_file  # noqa: E402
from utils.weights import load_backbone, load_weights  # noqa: E402


def predictor(source: str = "u2netp", **arguments) -> Predictor:
    """An ``engine.Predictor``: called with images, it gives their saliency maps.

    Args:
        source: a recipe's name, of which the run or the official weights are taken from the
            clone's ``checkpoints/``; or a checkpoint.
        arguments: ``weights``, ``device``, ``precision`` and ``overrides``, see ``Predictor``.
    """
    return Predictor(source, **arguments)


def _entry(name: str) -> Callable[..., model.Network]:
    def build(weights: str | None = None, **options) -> model.Network:
        network = model.build(name, **options)
        if weights == "imagenet":
            print(load_backbone(network))
        elif weights is not None:
            load_weights(network, official_file(name) if weights == "official" else Path(weights))
        return network.eval()

    build.__name__ = name
    build.__doc__ = f"""The network {name} in evaluation mode: normalised images (N, 3, H, W) → a
    dict of logits (N, 1, H, W), of which ``saliency`` is the prediction.

    Args:
        weights: a file; ``official``, which is looked for in ``checkpoints/``; ``imagenet`` for the
            trunk alone; none for random ones.
        options: of the network, as ``model.options`` of a recipe.
    """
    return build


for _name in model.names():
    globals()[_name] = _entry(_name)
