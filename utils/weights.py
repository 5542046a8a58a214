"""Reading weights: of ImageNet trunks, of papers' official checkpoints, of our own runs.

Tensors are matched by name, never by position; loading is strict and lists every key that is
missing, unexpected or of another shape. ``utils.weights_file`` reads the files, and
``utils.state`` tells which of a file's tensors are meant. ``python -m utils.weights convert``
rewrites a file, see ``utils.convert``.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Collection, Mapping
from itertools import zip_longest
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from .errors import UserError, list_problems
from .onnx_file import READS, Exported, named
from .paths import CHECKPOINTS, ROOT
from .state import State, Wanted, all_finite, read_state, shape
from .weights_file import note, read_file

DOWNLOAD_TIMEOUT = 30  # seconds without an answer


def load_weights(network: nn.Module, source: str | Path | Mapping, key: str = "",
                 partial: bool = False, origin: str = "state dict") -> list[str]:
    """Load all weights of ``network``, a ``model.Network``, from a file or from its content.

    Our own checkpoints, plain state dicts and the papers' official checkpoints are recognised by
    their keys; the latter go through the network's ``released_key``. Wrapping dicts, prefixes and
    counters are taken off (``utils.state``), half precision is converted, and tensors of parts
    that never run are left out, each with a note. Tensors of an ONNX network whose batch norms are
    merged are matched by the order of its convolutions (``utils.onnx_file``).

    Args:
        key: under which the file holds the weights, where several would fit.
        partial: whether what fits is loaded and the rest listed, instead of refused.
        origin: what messages call ``source``, where it is not a file.

    Returns:
        The network's keys that were loaded.

    Raises:
        UserError: unreadable file, or keys and shapes that do not fit, listed.
    """
    if not isinstance(source, Mapping):
        origin, source = str(source), read_file(Path(source), of_others=True)
    hint = f" {READS}" if isinstance(source, Exported) else ""
    if isinstance(source, Exported):
        if source.merged:
            note(f"{origin}: an exported network, whose batch norms are merged into its "
                 f"{len(source.convolutions)} convolutions; these are matched by their order, and "
                 "are good for testing alone")
        source = named(source, network, origin)
    own = network.state_dict()
    ways = [Wanted(own), Wanted(own, network.released_key, network.never_run)]
    reading = read_state(source, ways, origin, key, partial)
    if idle := reading.unused:
        values = sum(value.numel() for value in idle.values())
        parts = ", ".join(sorted({key.partition(".")[0] for key in idle}))
        note(f"{origin}: {len(idle)} tensors ({values} values) of {parts} are left out: the "
             "released network never runs them")
    return _copy(own, reading.state, origin, reading.done, partial, hint)


def load_backbone(network: nn.Module, source: str = "imagenet", key: str = "",
                  partial: bool = False) -> str:
    """Load the trunks of ``network`` from ImageNet weights; returns a line that reports it.

    Args:
        source: ``"imagenet"`` (the file that the trunk names, looked for in ``checkpoints/`` and
            the torch hub cache, then downloaded), ``"none"``, or a file with the same keys.
        key, partial: see ``load_weights``.

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
                                   if trunk.imagenet == kind}, source, key, partial)
                     for kind in kinds)


def _load_trunks(trunks: Mapping[str, nn.Module], source: str, key: str, partial: bool) -> str:
    """Load trunks of one kind from one file, see ``load_backbone``."""
    first = next(iter(trunks.values()))
    path = _imagenet_file(first.imagenet) if source == "imagenet" else ROOT / source
    if not path.exists():
        raise UserError(f"weights.backbone={source}: file not found. It is imagenet, none (random "
                        "weights), or a file")
    wanted, by_label = {}, {}
    for name, trunk in trunks.items():
        own = trunk.state_dict()
        for ours, theirs in trunk.imagenet_keys().items():
            wanted[theirs] = own[ours]
            by_label[f"{theirs} (for {name}.{ours})"] = theirs, own[ours]
    reading = read_state(read_file(path, of_others=True),
                         [Wanted(wanted, unused=first.imagenet_unused)], str(path), key, partial)
    state = reading.state
    given = {label: state[theirs] for label, (theirs, _) in by_label.items() if theirs in state}
    given |= {theirs: value for theirs, value in state.items() if theirs not in wanted}
    _copy({label: tensor for label, (_, tensor) in by_label.items()}, given, str(path),
          reading.done, partial)
    unused = len(reading.unused)
    left_out = f", {unused} tensors not needed" if unused else ""
    random = f"; no weights for {', '.join(first.from_scratch)}: random" if first.from_scratch \
        else ""
    return f"trunk weights: {path.name}, {len(wanted)} tensors{left_out}{random}"


def _copy(own: State, state: State, origin: str, done: list[str], partial: bool,
          hint: str = "") -> list[str]:
    """Copy ``state`` into the tensors of ``own``: same keys, same shapes, or an error; with
    ``partial``, those of the same key and shape, and a note that lists the others. Returns their
    keys. ``done`` was done to the file's keys; ``hint`` ends the message of what does not fit."""
    missing = [f"missing: {key} {shape(own[key])}" for key in own if key not in state]
    unexpected = [f"unexpected: {key} {shape(state[key])}" for key in state if key not in own]
    shapes = [f"shape of {key}: file {shape(state[key])}, network {shape(own[key])}"
              for key in own if key in state and shape(own[key]) != shape(state[key])]
    fitting = [key for key in own if key in state and shape(own[key]) == shape(state[key])]
    if missing or unexpected or shapes:
        # In turns, so that the first few, which the message lists, include every kind.
        turns = zip_longest(shapes, unexpected, missing)
        problems = [problem for turn in turns for problem in turn if problem]
        counts = (f"{len(missing)} tensors missing, {len(unexpected)} unexpected, {len(shapes)} of "
                  "another shape")
        if not partial or not fitting:
            origin += f" ({', '.join(done)})" if done else ""
            raise UserError(list_problems(
                f"{origin} does not fit the network: {counts}", problems,
                "Is this file meant for this network (model.name, model.options)?"
                + (" weights.partial=true loads the tensors that fit." if fitting else "") + hint))
        note(list_problems(f"{origin} fits in part: {len(fitting)} tensors are loaded, {counts}",
                           problems, "The network keeps what it had for those that are missing."
                           + hint))
    values = {key: _converted(state[key], own[key]) for key in fitting}
    if unusable := [f"{key}: {value}" for key, value in values.items() if isinstance(value, str)]:
        raise UserError(list_problems(f"{origin} holds tensors that are no weights", unusable,
                                      "Nothing was loaded. Is the file damaged, or of a run that "
                                      "diverged?"))
    with torch.no_grad():
        for key, value in values.items():
            own[key].copy_(value)
    return fitting


def note_idle_norms(network: nn.Module, loaded: Collection[str], origin: str) -> None:
    """Print that weights are for testing alone where the batch norms among the ``loaded`` keys
    change nothing."""
    norms = [module for name, module in network.named_modules()
             if isinstance(module, BatchNorm) and module.affine and f"{name}.running_var" in loaded]
    if norms and all(map(_is_idle, norms)):
        note(f"{origin}: none of its {len(norms)} batch norms changes anything, as where an export "
             "has merged them into the convolutions. Such weights are good for testing alone: "
             "training normalises with the batch's statistics, and what was learned is lost. "
             "optim.eval_norm=[all] leaves the norms as they are")


def _is_idle(norm: nn.Module) -> bool:
    """Whether a batch norm in evaluation mode gives what it gets, up to rounding."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return bool(torch.allclose(scale, torch.ones_like(scale), atol=1e-4)
                and not norm.bias.any() and not norm.running_mean.any())


def _converted(value: Tensor, own: Tensor) -> Tensor | str:
    """A file's tensor in the type of ours, or what is wrong with it."""
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        return ("it has no values (a meta tensor)" if value.is_meta else "it is quantised"
                if value.is_quantized else f"it is sparse ({value.layout})")
    if value.is_complex() or (own.is_floating_point() and not value.is_floating_point()):
        return f"it holds {str(value.dtype).removeprefix('torch.')}, not real numbers"
    value = value.detach()
    if not all_finite(value):
        return "it holds NaN or infinite values"
    converted = value.to(own.dtype)
    if own.is_floating_point() and not all_finite(converted):
        return f"its values do not fit into {str(own.dtype).removeprefix('torch.')}"
    if not own.is_floating_point() and value.is_floating_point() and (value != converted).any():
        return "it counts something and holds fractions"
    return converted


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
        # Most files' names end in the first digits of their SHA-256, which torch checks.
        digits = re.search(r"-([0-9a-f]{8,})\.", name)
        torch.hub.download_url_to_file(url, str(cache / name),
                                       hash_prefix=digits[1] if digits else None)
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
    ``config.network``; else the trunk alone gets weights, from ``config.backbone``. Of a file,
    ``config.key`` and ``config.partial`` say what is taken.
    """
    if resumed is not None:
        load_weights(network, resumed["network"])
    elif config.network:
        loaded = load_weights(network, ROOT / config.network, config.key, config.partial)
        print(f"weights: {config.network}")
        note_idle_norms(network, loaded, config.network)
    else:
        print(load_backbone(network, config.backbone, config.key, config.partial))


if __name__ == "__main__":
    from .convert import main

    sys.exit(main())
