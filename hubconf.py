"""Entry points for torch.hub: every network by its name, and ``predictor``.

    network = torch.hub.load("PATH", "cpd_vgg", source="local", weights="CPD.pth")
    predictor = torch.hub.load("PATH", "predictor", "u2netp", source="local")

PATH is a clone of this repository; docs/python.md shows both.
"""

from __future__ import annotations

import sys as _sys
from pathlib import Path as _Path

dependencies = ["cv2", "imageio", "omegaconf", "PIL", "torch", "torchvision", "tqdm"]

_ROOT = _Path(__file__).resolve().parent
for _name in ("data", "engine", "losses", "model", "utils"):
    _other = _sys.modules.get(_name)
    if _other and _Path(getattr(_other, "__file__", None) or "/").resolve().parent != _ROOT / _name:
        raise ImportError(f"{_ROOT}: its package {_name!r} cannot be imported, because this "
                          f"process has imported another of that name: {_other}. Load the networks "
                          "in a process of their own.")

# torch.hub takes all public functions for entry points.
import model as _model  # noqa: E402
from engine.predictor import Predictor as _Predictor  # noqa: E402
from engine.trained import OFFICIAL as _OFFICIAL  # noqa: E402
from engine.trained import averaged as _averaged  # noqa: E402
from utils.errors import UserError as _UserError  # noqa: E402
from utils.official import official_file as _official_file  # noqa: E402
from utils.weights import load_backbone as _load_backbone  # noqa: E402
from utils.weights import load_weights as _load_weights  # noqa: E402
from utils.weights_file import read_file as _read_file  # noqa: E402


def predictor(source: str = "u2netp", overrides: tuple[str, ...] = (), **arguments) -> _Predictor:
    """An ``engine.Predictor``: called with images, it gives their saliency maps.

    Args:
        source: a recipe's name, of which the run or the official weights are taken from the
            clone's ``checkpoints/``; or a checkpoint.
        overrides: ``key=value`` words over the configuration.
        arguments: ``weights``, ``device`` and ``precision``, see ``Predictor``.
    """
    # Loader processes that are started anew would not find the clone's packages.
    return _Predictor(source, overrides=["data.workers=0", *overrides], **arguments)


def _load(network: _model.Network, name: str, options: dict, weights: str) -> None:
    """Load a file into a network. Of a run of train.py it is what test.py tests, and the network
    has to be the run's."""
    path = _official_file(name) if weights == _OFFICIAL else _Path(weights)
    content = _read_file(path, of_others=True)
    trained = content["config"].get("model", {}) if isinstance(content.get("config"), dict) else {}
    before, now = ((kind.get("name"), kind.get("options", {})) for kind in
                   (trained, {"name": name, "options": options}))
    if "network" in content and trained and before != now:
        raise _UserError(f"{path} was trained as {before[0]} with the options "
                         f"{before[1] or 'none'}, and not as {now[0]} with {now[1] or 'none'}; "
                         "load that network, or the run as a predictor")
    _load_weights(network, _averaged(content), origin=str(path))


def _entry(name: str):
    def build(weights: str | None = None, **options) -> _model.Network:
        network = _model.build(name, **options)
        if weights == "imagenet":
            print(_load_backbone(network))
        elif weights is not None:
            _load(network, name, options, weights)
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


for _name in _model.names():
    globals()[_name] = _entry(_name)
