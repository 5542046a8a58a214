"""``python -m report explain``: a sheet for each image."""

from __future__ import annotations

import argparse

import numpy as np
from torch import Tensor

from data import decode_image
from data.inputs import collect_inputs
from engine.predictor import Predictor
from engine.trained import TrainedElsewhere, choose
from utils.device import select_device
from utils.errors import UserError, note_once
from utils.files import sha256_of
from utils.maps import require_writable_names
from utils.origin import settings_of
from utils.world import World

from ..sheet import TILE, Tile, save_sheet
from .about import About
from .cam import INSTALL, Layer, cam_of, is_installed, method
from .look import Look, joined, look, named_layer, principal_components, stages_of
from .pictures import cam_on, coloured, grey
from .target import OBJECT, Target, weights_of

_DEFAULT_METHOD = "gradcam"


def explain(args: argparse.Namespace) -> None:
    """Write the sheets that the command line asks for; each file is printed, with how much of its
    CAM lies on what it explains."""
    wanted = args.method is not None or args.target is not None
    kind = method(args.method or _DEFAULT_METHOD) if wanted or is_installed() else None
    if kind is None:
        note_once(f"the sheets are without CAMs, which the library grad-cam makes: {INSTALL}")
    target = Target(args.target or OBJECT)
    pairs = collect_inputs(args.input, World(), args.recursive)
    target.require(pairs)
    trained = choose(args.config, args.checkpoint, args.official, args.overrides)
    if isinstance(trained, TrainedElsewhere):
        raise UserError(f"{trained.path} is an exported network, into which nobody can look; name "
                        "the checkpoint that it was made of")
    predictor = Predictor(trained, device=select_device(args.gpu))
    folder = args.out / predictor.config.name
    require_writable_names(folder, [pair.name for pair in pairs])
    layers = stages_of(predictor.network)
    if args.layer is not None:
        layers |= {args.layer: named_layer(predictor.network, args.layer)}
    for pair in pairs:
        seen = look(predictor, pair, layers)
        path, photo = folder / f"{pair.name}.png", decode_image(pair.image, 4 * TILE)
        output, report = predictor.config.test.output, ""
        tiles = [Tile(photo, "input", _size(seen.saliency)),
                 Tile(grey(seen.saliency), "map", output)]
        if kind is not None:
            name = args.layer or predictor.network.deepest_stage()
            region = target.region(pair, seen.saliency)
            layer = Layer(name, layers[name], len(seen.layers.get(name, ())))
            cam, share = explained(predictor, seen, kind, layer, region)
            tiles.append(Tile(cam_on(photo, cam, region), kind.__name__, f"{name}, {share}"))
            report = f"{kind.__name__} of {name}, {share}"
        tiles += [Tile(grey(logits.sigmoid()[0, 0].cpu().numpy()), name, _size(logits))
                  for name, logits in seen.outputs.items() if name != output]
        rows = [tiles, *stage_rows(seen)]
        about = About(trained.sha256, settings_of(predictor.config), sha256_of(pair.image),
                      "; ".join(filter(None, [in_words(rows), report])))
        save_sheet(path, rows, [seen.saliency.shape] * len(rows), about.in_png())
        print(f"{path}: {report}" if report else path)


def in_words(rows: list[list[Tile]]) -> str:
    """What the rows of a sheet show."""
    first, *stages = ([tile.title for tile in row] for row in rows)
    words = ", ".join(first)
    return f"{words}; mean and principal components of {', '.join(stages[0])}" if stages else words


def stage_rows(seen: Look) -> list[list[Tile]]:
    """The layers' mean activations, and their principal components."""
    means, components = [], []
    for name, features in ((name, joined(maps)) for name, maps in seen.layers.items() if maps):
        means.append(Tile(coloured(features.mean(dim=0).cpu().numpy()), name,
                          f"mean of {len(features)}, {_size(features)}"))
        colours, share = principal_components(features)
        components.append(Tile(grey(colours), name, f"components, {share:.0%} of variance"))
    return [row for row in (means, components) if row]


def _size(maps: np.ndarray | Tensor) -> str:
    """Width and height of maps (…, h, w)."""
    return f"{maps.shape[-1]}×{maps.shape[-2]}"


def explained(predictor: Predictor, seen: Look, kind: type, layer: Layer,
              region: np.ndarray) -> tuple[np.ndarray, str]:
    """The CAM of a layer for a region, bool (H, W) of the map's size; and in words, how much of the
    CAM lies there, and how much of the image the region is."""
    output = predictor.config.test.output
    # A tensor of the prediction takes no part in gradients, but its copy does.
    cam = cam_of(kind, predictor.network, layer, seen.image.clone(), output,
                 weights_of(region, seen.outputs[output].shape[-2:]))
    if not cam.any():
        return cam, "nothing speaks for it"
    inside = weights_of(region, cam.shape)
    return cam, f"{(cam * inside).sum() / cam.sum():.0%} on {inside.mean():.0%}"
