"""Reading weights: of ImageNet trunks, of papers' official checkpoints, of our own runs.

Tensors are matched by name, never by position; loading is strict and lists every key that is
missing, unexpected or of another shape. Files are read with ``weights_only=True``.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from .archive import damage_of, is_archive
from .errors import UserError, list_problems
from .paths import CHECKPOINTS, ROOT

State = Mapping[str, Tensor]
DOWNLOAD_TIMEOUT = 30  # seconds without an answer

_ANSI = re.compile(r"\x1b\[[0-9;]*m")  # torch colours some of its messages


def read_file(path: Path) -> dict:
    """The content of a weights file, on the CPU: tensors and plain containers only.

    Raises:
        UserError: missing, empty, truncated or not a weights file.
    """
    if not path.is_file():
        raise UserError(f"weights {path}: " + ("this is a folder, name a file in it"
                                               if path.is_dir() else "file not found"))
    if path.stat().st_size == 0:
        raise UserError(f"weights file is empty (0 bytes): {path}; fetch or write it again")
    if is_archive(path) and (damage := damage_of(path)):
        raise UserError(f"cannot read {path} as weights: it is damaged ({damage}). Fetch or write "
                        "it again.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and type errors here
        reason = _ANSI.sub("", str(error)).partition("\n")[0] or type(error).__name__
        raise UserError(f"cannot read {path} as weights: {reason}\nThe file is damaged, is not "
                        "a torch file, or holds more than tensors. Fetch it again; if it "
                        "pickles a whole network, save its state_dict() instead.") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict")
    return dict(content)


def state_dict_of(content: Mapping) -> dict[str, Tensor]:
    """The state dict in a file's content, unwrapped and without ``module.`` prefixes."""
    for wrapper in ("network", "state_dict", "model"):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    state = {str(key): value for key, value in content.items()}
    while state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    strange = [f"{key}: {type(value).__name__}" for key, value in state.items()
               if not isinstance(value, Tensor)]
    if strange or not state:
        raise UserError(list_problems("not a state dict: entries that are not tensors",
                                      strange or ["(it is empty)"]))
    return state


def load_weights(network: nn.Module, source: str | Path | Mapping) -> None:
    """Load all weights of ``network``, a ``model.Network``, from a file or a state dict.

    Our own checkpoints, plain state dicts and the papers' official checkpoints are recognised
    by their keys; the latter go through the network's ``released_key``. A ``module.`` prefix is
    removed. Half-precision tensors are converted. Tensors of parts that never run are left out,
    with a note.

    Raises:
        UserError: unreadable file, or keys and shapes that do not fit, listed.
    """
    origin = "state dict" if isinstance(source, Mapping) else str(source)
    content = source if isinstance(source, Mapping) else read_file(Path(source))
    state = state_dict_of(content)
    own = network.state_dict()
    if not set(state) & set(own):
        if idle := [key for key in state if key.startswith(network.never_run)]:
            values = sum(state.pop(key).numel() for key in idle)
            parts = ", ".join(sorted({key.partition(".")[0] for key in idle}))
            print(f"note: {origin}: {len(idle)} tensors ({values} values) of {parts} are left "
                  "out: the released network never runs them")
        state = {network.released_key(key): value for key, value in state.items()}
    _copy(own, state, origin)


def load_backbone(network: nn.Module, source: str = "imagenet") -> str:
    """Load the trunks of ``network`` from ImageNet weights; returns a line that reports it.

    Args:
        source: ``"imagenet"`` (the file that the trunk names, looked for in ``checkpoints/`` and
            the torch hub cache, then downloaded), ``"none"``, or a file with the same keys.

    Raises:
        UserError: no file and no download, or keys and shapes that do not fit.
    """
    if source == "none":
        return "trunk weights: random (weights.backbone=none), training from scratch"
    trunks = network.trunks()
    if not trunks:
        raise UserError(f"{type(network).__name__} has no trunk that ImageNet weights would fit; "
                        "give weights.backbone=none")
    kinds = dict.fromkeys(trunk.imagenet for trunk in trunks.values())
    if source != "imagenet" and len(kinds) > 1:
        raise UserError(f"{type(network).__name__} has trunks of {len(kinds)} kinds, which one "
                        f"file does not fit: {', '.join(kinds)}; give weights.backbone=imagenet")
    return "\n".join(_load_trunks({name: trunk for name, trunk in trunks.items()
                                   if trunk.imagenet == kind}, source) for kind in kinds)


def _load_trunks(trunks: Mapping[str, nn.Module], source: str) -> str:
    """Load trunks of one kind from one file, see ``load_backbone``."""
    first = next(iter(trunks.values()))
    path = _imagenet_file(first.imagenet) if source == "imagenet" else ROOT / source
    content = state_dict_of(read_file(path))
    state = {key: value for key, value in content.items()
             if not key.startswith(first.imagenet_unused)}
    unused = len(content) - len(state)
    wanted, used = {}, set()
    for name, trunk in trunks.items():
        own = trunk.state_dict()
        for ours, theirs in trunk.imagenet_keys().items():
            wanted[f"{theirs} (for {name}.{ours})"] = own[ours]
            used.add(theirs)
    # Files of older torch versions lack batch norms' counters, which then start at zero.
    state = {key: torch.zeros((), dtype=torch.long) for key in used
             if key.endswith("num_batches_tracked")} | state
    given = {key: state[key.split(" ")[0]] for key in wanted if key.split(" ")[0] in state}
    given |= {key: value for key, value in state.items() if key not in used}
    _copy(wanted, given, str(path))
    note = f", {unused} classifier tensors not needed" if unused else ""
    return f"trunk weights: {path.name}, {len(used)} tensors{note}"


def _copy(own: State, state: State, origin: str) -> None:
    """Copy ``state`` into the tensors of ``own``: same keys, same shapes, or an error."""
    missing = [f"missing: {key} {tuple(own[key].shape)}" for key in own if key not in state]
    unexpected = [f"unexpected: {key} {tuple(state[key].shape)}" for key in state if key not in own]
    shapes = [f"shape of {key}: file {tuple(state[key].shape)}, network {tuple(own[key].shape)}"
              for key in own if key in state and own[key].shape != state[key].shape]
    if missing or unexpected or shapes:
        # In turns, so that the first few, which the message lists, include every kind.
        turns = zip_longest(shapes, unexpected, missing)
        raise UserError(list_problems(
            f"{origin} does not fit the network: {len(missing)} tensors missing, "
            f"{len(unexpected)} unexpected, {len(shapes)} of another shape",
            [problem for turn in turns for problem in turn if problem],
            "Is this file meant for this network (model.name, model.options)?"))
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(state[key])


def _imagenet_file(source: str) -> Path:
    """The file of ImageNet weights from checkpoints/, the hub cache, or else a download.

    Args:
        source: an address, or the name of a torchvision network.
    """
    import torchvision  # 180 MB, which weights from files do without

    url = source if "://" in source else \
        torchvision.models.get_model_weights(source).IMAGENET1K_V1.url
    name = url.rsplit("/", 1)[-1]
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    for folder in (CHECKPOINTS, cache):
        if (folder / name).is_file():
            return folder / name
    print(f"downloading {url}")
    timeout = socket.getdefaulttimeout()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        # The file's name ends in the first digits of its SHA-256, which torch checks.
        digits = name.rsplit("-", 1)[-1].partition(".")[0]
        torch.hub.download_url_to_file(url, str(cache / name), hash_prefix=digits)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the ImageNet weights could not be downloaded: {error}\n"
            f"  URL:    {url}\n  file:   {name}\n  folder: {CHECKPOINTS}\n"
            "Download the file elsewhere and put it into that folder under that name, or give "
            "another file with weights.backbone=FILE, or train from scratch with "
            "weights.backbone=none.") from None
    finally:
        socket.setdefaulttimeout(timeout)
    return cache / name


def initialise(network: nn.Module, config: DictConfig, resumed: Mapping | None = None) -> None:
    """Load the weights that training starts from, and print which they are.

    They come from ``resumed``, the checkpoint of a run that goes on; else from the file
    ``config.network``; else the trunk alone gets weights, from ``config.backbone``.
    """
    if resumed is not None:
        load_weights(network, resumed["network"])
    elif config.network:
        load_weights(network, ROOT / config.network)
        print(f"weights: {config.network}")
    else:
        print(load_backbone(network, config.backbone))
