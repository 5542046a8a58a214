"""Predict saliency maps with a trained network.

    python test.py                                      the trained CPD-VGG on the recipe's sets
    python test.py --data ECSSD DUTS-TE --gpu 0
    python test.py --checkpoint checkpoints/trial/best.pt --input photo.jpg folder/ "shots/*.png"
    python test.py --config configs/cpd_vgg.yaml --checkpoint CPD.pth --data ECSSD
    python test.py --config configs/cpd_vgg.yaml --official --data ECSSD
    python test.py --config u2netp --official --input 0
    python test.py --data ECSSD --limit 20              a quick look: the first 20 images alone

Maps go to <out>/<name>/<set>/<image stem>.png, at the image's own size (its mask's where the two
nearly agree); those of --input to <out>/<name>/input/, of a film as a film <stem>.mp4, without its
sound. <out>/<name>/origin.json records what made the maps. A camera, --input 0, is shown live.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from tqdm import tqdm

from data import Pair, decode_image, require_sound
from data.catalog import find_set
from data.coding import with_coding
from data.inputs import collect_inputs, first_of
from data.map_sizes import with_map_sizes
from data.masks import mask_of
from data.native import require_sizes
from data.pairing import Names
from engine.existing import begin_folder, image_digests
from engine.precision import Precision
from engine.predictor import Predictor
from engine.trained import Trained, TrainedElsewhere, choose
from engine.views import views_in
from model import network_class
from report.cutouts import drop_pictures, kinds_in, picture_folder, save_pictures
from report.film import part_films, predict_films
from report.live import camera_in, show_camera
from report.picture import SHOWN, SheetRow, save_samples, small
from utils.cli import add_limit, parse_with_overrides
from utils.config import help_text
from utils.device import select_device, set_threads
from utils.errors import UserError, counted, reports_errors
from utils.lock import locked
from utils.maps import read_map, require_writable_names, save_map
from utils.origin import MapsOrigin
from utils.paths import RESULTS, ROOT, absolute_spec
from utils.weights_file import note
from utils.world import World, joined


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=help_text())
    parser.add_argument("--config", metavar="RECIPE",
                        help="recipe whose run to use, or for weights without a configuration of "
                             "their own: a file, or a name in configs/ (default: cpd_vgg)")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE",
                        help="a checkpoint of train.py or its run's folder, or others' weights "
                             "together with --config (default: best.pt or last.pt of the recipe's "
                             "run)")
    parser.add_argument("--official", action="store_true",
                        help="the weights that the recipe's official lists, from checkpoints/ or "
                             "from the folder that --checkpoint names; where they are missing, the "
                             "message tells who publishes them")
    parser.add_argument("--data", nargs="+", action="extend", metavar="SET",
                        help="catalog names, folders, or IMAGES:MASKS (default: the recipe's)")
    parser.add_argument("--input", nargs="+", action="extend", metavar="PATH",
                        help="images, folders of images, glob patterns, films, or 0 for a camera")
    add_limit(parser, "images of each set, or of --input")
    parser.add_argument("--recursive", action="store_true",
                        help="read the subfolders of folders too and keep them: "
                             "<out>/<name>/<set>/<subfolder>/<image stem>.png; for sets the same "
                             "as data.recursive=true")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR",
                        help="where the maps go (default: results/)")
    parser.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto); with "
                        "torchrun auto or several, such as 0,1")
    parser.add_argument("--save", nargs="+", action="extend", default=["map"], metavar="KIND",
                        help="pictures beside the maps, in <out>/<name>/_<kind>/<set>/: cutout "
                        "(the object, transparent around it), overlay (the map in red), white or "
                        "blur (the object before that background)")
    parser.add_argument("--tta", metavar="VIEWS", help="test-time augmentation: the mean over each "
                        "image as it is and these views, such as flip, or flip,0.75,1.25 for its "
                        "mirror image and factors on its size; the same as test.flip=true "
                        "test.scales=[1,0.75,1.25]")
    parser.add_argument("--skip-existing", action="store_true",
                        help="keep maps of the same images, weights and settings that are whole")
    parser.add_argument("--show", action="store_true",
                        help="also a sheet <out>/<name>/<set>.png: input with its name, ground "
                             "truth, prediction, overlay")
    parser.add_argument("--rows", type=int, default=8, metavar="N",
                        help="rows of the sheet, spread over the set (default: 8)")
    args = parse_with_overrides(parser, argv, lists=("data", "input", "save"))
    args.data = [absolute_spec(spec) for spec in args.data or []]
    args.overrides += ["data.recursive=true"] * args.recursive + views_in(args.tta, args.overrides)
    return args


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.data and args.input:
        raise UserError("give --data or --input, not both")
    kinds = kinds_in(args.save or ())
    if args.rows < 1:
        raise UserError(f"--rows {args.rows}: a sheet has at least one row")
    trained = choose(args.config, args.checkpoint, args.official, args.overrides)
    # An exported network is run on the CPU.
    device = torch.device("cpu") if isinstance(trained, TrainedElsewhere) else \
        select_device(args.gpu)
    Precision(trained.config.test.precision, device)  # refuses one before files are read
    set_threads(trained.config.threads)
    with joined(device) as world:
        predict_sets(args, trained, device, world, kinds)
    return 0


def predict_sets(args: argparse.Namespace, trained: Trained, device: torch.device,
                 world: World, kinds: Sequence[str]) -> None:
    """Find the images of all sets first; then predict set by set, each process its share. Pictures
    of these ``kinds`` are made of all maps, those that were there as well."""
    config = trained.config
    if (camera := camera_in(args.input or (), kinds, world)) is not None:
        if args.skip_existing or args.show or args.limit:
            note("--skip-existing, --show and --limit are for photos; a camera is shown without "
                 "them")
        show_camera(Predictor(trained, device=device), camera, kinds)
        return
    films, inputs = part_films(args.input or (), world)
    if films and (args.skip_existing or args.show or args.limit):
        note("--skip-existing, --show and --limit are for photos; films are predicted without them")
    jobs = [("input", collect_inputs(inputs, world, args.recursive, limit=args.limit), None)] \
        if inputs else [images_of_set(spec, config.data, world, args.show, args.limit)
         for spec in args.data or config.test.data] if not films else []
    names = [name for name, *_ in jobs]
    if not names and not films:
        raise UserError("no data sets to predict: test.data is empty; give --data or --input")
    if len(set(names)) < len(names):
        raise UserError(f"two sets would be written to one folder: {', '.join(names)}; predict "
                        "them one at a time with different --out")
    output = config.test.output
    method = args.out / (config.name if output == "saliency" else f"{config.name}_{output}")
    for name, pairs, _ in jobs:
        require_writable_names(method / name, [pair.name for pair in pairs])
    for _, pairs, _ in jobs:
        require_sizes(pairs, config.data.size, network_class(config.model.name).require_size)
    predictor = Predictor(trained, device=device)
    origin = MapsOrigin(trained.path, trained.sha256, config, device) if world.main else None
    if films:
        predict_films(predictor, films, method / "input", kinds, world, origin)
    for name, pairs, limit in jobs:
        folder = method / name
        with locked(folder, world, "Wait for it or stop it, or give another --out or name=…."):
            images = image_digests(pairs, world)
            with world.main_first():  # before the other processes write their maps
                to_do = None if origin is None else \
                    begin_folder(pairs, folder, origin, images, args.skip_existing, limit)
            to_do = world.gather(to_do)[0]
            if args.skip_existing:
                kept = counted(len(pairs) - len(to_do), "map is", "maps are")
                print(f"{folder}: {kept} there, {len(to_do)} to do")
            write_maps(predictor, to_do, folder, world)
            if origin is not None:
                origin.end(folder)
            drop_pictures(to_do[world.rank::world.size], folder, kinds)
            save_pictures(pairs[world.rank::world.size], folder, kinds)
            world.gather(None)  # the folder is free when all processes are done
        for kind in kinds if world.main else ():
            print(f"{kind}: {picture_folder(folder, kind)}")
        if args.show and world.main:
            print(f"sheet: {show(pairs, folder, args.rows)}")


def images_of_set(spec: str, data: DictConfig, world: World, shown: bool,
                  limit: int | None = None) -> tuple[str, list[Pair], int | None]:
    """Name and pairs of a data set, or the first ``limit`` of them, every image checked, with the
    sizes that their maps get; and the limit, None where these are all. How its masks are coded is
    printed, and why that is not known: an error where they are ``shown``."""
    data_set = find_set(spec, ROOT / data.root, Names.of(data))
    if data_set.count_note and world.main:
        print(f"note: {data_set.count_note}; predicting these", file=sys.stderr)
    chosen = first_of(data_set.pairs, limit, data_set.name)
    require_sound([Pair(pair.name, pair.image) for pair in chosen], data_set.name, world=world)
    pairs = with_map_sizes(chosen, data_set.name, quiet=not world.main)
    if world.main:
        try:
            # Of the masks of all images, as eval.py decides it.
            coded = with_coding(data_set.pairs, data, data_set.name)
            pairs = [replace(pair, codings=of_set.codings)
                     for pair, of_set in zip(pairs, coded, strict=False)]
        except UserError as error:
            if shown:
                raise
            print(f"note: maps are made without masks, but eval.py needs them: {error}",
                  file=sys.stderr)
    return data_set.name, pairs, None if len(pairs) == len(data_set.pairs) else limit


def write_maps(predictor: Predictor, pairs: Sequence[Pair], folder: Path, world: World) -> None:
    """Predict every image and save its map under the image's stem."""
    images = [Pair(pair.name, pair.image, size=pair.size)
              for pair in pairs[world.rank::world.size]]
    if images:
        maps = predictor.maps(images, folder.name)
        for name, saliency in tqdm(maps, total=len(images), unit="image", desc=folder.name,
                                   disable=None if world.main else True):
            save_map(folder / f"{name}.png", saliency)
    if written := sum(world.gather(len(images))):
        print(f"{counted(written, 'map')} written to {folder}")


def show(pairs: Sequence[Pair], folder: Path, rows: int) -> Path:
    """A contact sheet of evenly spread samples."""
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(rows, len(pairs))).round().astype(int))
    sheet = []
    for pair in (pairs[i] for i in chosen):
        truth = None
        if pair.mask is not None:
            mask = mask_of(pair)
            truth = small(mask.values if mask.void is None else
                          np.where(mask.void, np.uint8(128), mask.values))
            if mask.remark:
                print(f"note: {mask.remark}", file=sys.stderr)
        sheet.append(SheetRow(pair.name, small(decode_image(pair.image, SHOWN)),
                              small(read_map(folder / f"{pair.name}.png")), truth))
    return save_samples(folder.with_name(f"{folder.name}.png"), sheet, folder.parent.name)


if __name__ == "__main__":
    sys.exit(main())
