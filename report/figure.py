"""``python -m report figure``: the figure of papers with images, truths and methods' maps."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Picture

from data.decode import decode_image
from data.listing import list_images
from data.pairing import Pair, assign
from metrics import PROFILES
from metrics.profiles import Profile
from scoring import ScoringOptions, read_truth
from scoring.arguments import add_choice, add_maps, add_names
from scoring.folders import require_fitting
from scoring.jobs import decide_codings, find_jobs
from utils.errors import UserError, counted, list_problems, note_once
from utils.images import UnreadableError
from utils.maps import read_map, to_bytes
from utils.paths import RESULTS

from .attributes.kept import file_stem, kept_attributes
from .attributes.table import ATTRIBUTES
from .chosen import ENDS, ORDERS, ByAttribute, Image, attribute_order, by_name, by_order
from .labels import Label, read_labels
from .methods import SetScores, scored_as_asked
from .paper_rows import printed
from .tables import require_own_files, write

FORMATS = ("pdf", "png", "svg")
NAMES = ("Image", "GT")  # of the columns before the methods
_WIDTH = 6.875  # inches: of the text in the two columns of CVPR and ICCV
_LIMITS = {"width": (0.5, 40), "dpi": (50, 1200), "count": (1, 100)}
_INCHES = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54, "pt": 1 / 72.27}
_COUNT, _MEASURE = 6, "MAE"


@dataclass
class Material:
    """What a figure can be made of.

    Attributes:
        sets: name of a data set → its images.
        maps: (method, set) → name of an image → its map.
        scores: of the sets, empty where nothing was scored.
    """

    sets: dict[str, list[Pair]]
    methods: list[str]
    maps: dict[tuple[str, str], Mapping[str, Path]]
    scores: list[SetScores]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``report figure``."""
    add = parser.add_argument
    add_choice(parser)
    add("--methods", nargs="+", action="extend", metavar="NAME[=LABEL]",
        help="only these methods, in this order, and what they are called (default: all)")
    add("--images", nargs="+", action="extend", metavar="NAME",
        help="these images, in this order: names of files without extension, SET/NAME where "
             "several sets have it")
    add("--by", metavar="ORDER", help="images chosen by their scores instead: "
        f"{', '.join(ORDERS)} (where the methods are furthest apart); or by an attribute, most of "
        f"it first, least with :{ENDS[1]}, as in size:{ENDS[1]}: {', '.join(ATTRIBUTES)}")
    add("--count", type=int, metavar="N", help=f"of --by: how many images (default: {_COUNT})")
    add("--measure", metavar="MEASURE", help=f"of --by with scores (default: {_MEASURE})")
    add("--of", metavar="METHOD", help="of --by with scores: whose decide (default: the mean of "
        "all)")
    add("--transpose", action="store_true", help="an image a column, names beside the rows")
    add("--width", type=inches, default=_WIDTH, metavar="LENGTH",
        help="of the figure in print, inches, or with a unit such as 174mm (default: "
             f"{_WIDTH}, the text of a page of CVPR)")
    add("--dpi", type=int, default=300, metavar="N", help="pixels of an inch (default: 300)")
    add("--raw", action="store_true", help="show maps as they are saved (default: as they are "
        "scored: stretched to black and white where the profile does that)")
    add("--out", nargs="+", type=Path, metavar="FILE",
        help=f"the figure, .{', .'.join(FORMATS)} (default: results/_figure/<sets>.pdf and .png)")
    add_maps(parser)
    add_names(parser)
    parser.set_defaults(pred=RESULTS)


def inches(text: str) -> float:
    """A length on the command line, ``6.9``, ``6.9in``, ``174mm``, ``17.4cm`` or ``495pt``.

    Raises:
        argparse.ArgumentTypeError: no length, or too short or long for a figure.
    """
    match = re.fullmatch(rf"(\d*\.?\d+)\s*({'|'.join(_INCHES)})?", text.strip())
    length = float(match[1]) * _INCHES[match[2] or "in"] if match else 0.0
    low, high = _LIMITS["width"]
    if not low <= length <= high:
        raise argparse.ArgumentTypeError(f"{text}: a length such as 6.9, 6.9in or 174mm, from "
                                         f"{low} to {high} inches")
    return length


def require_kind(path: Path) -> str:
    """The kind of figure that a file's name asks for, a word of ``FORMATS``.

    Raises:
        UserError: it asks for none.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UserError(f"--out {path}: a figure's name ends in .{', .'.join(FORMATS)}")
    return kind


def write_figure(args: argparse.Namespace) -> None:
    """Write the figure that the command line asks for; files and images are printed.

    Raises:
        UserError: images, methods or orders that do not exist, maps that are missing or cannot be
            shown, files that cannot be written.
    """
    _require(args)
    labels = read_labels("--methods", args.methods or ())
    order = attribute_order(args.by) if args.by else None
    if order:
        material = _unscored(args, labels)
        captions = _by_attribute(args, order, material)
    elif args.by:
        material = _scored(args, labels)
        captions = _by_scores(args, material)
    else:
        material = _unscored(args, labels)
        captions = dict.fromkeys(by_name(args.images, material.sets), "")
    images = list(captions)
    if args.count and len(images) < args.count:
        note_once(f"--count {args.count}: there are {counted(len(images), 'image')} to choose "
                  "from")
    profile = None if args.raw else PROFILES[args.profile]
    samples = _samples(images, material, profile, args.resize)
    called = _called(args, labels, material.methods)
    has_photos = all(len(sample.pictures) == 2 + len(called) for sample in samples)
    if not has_photos:
        note_once("the figure has no photos: masks that --gt names come without images")
    for path in _write(args, [*NAMES[not has_photos:], *called], samples, images):
        print(path)
    for image, words in captions.items():
        print("/".join(image) + (f": {words}" if words else ""))


def _require(args: argparse.Namespace) -> None:
    """What can be refused before anything is read."""
    if bool(args.images) == bool(args.by):
        raise UserError("say which images: either --images NAME … or --by "
                        f"{'|'.join(ORDERS)}|ATTRIBUTE")
    if args.by:
        order = attribute_order(args.by)
        for name in ("measure", "of"):
            if order and getattr(args, name) is not None:
                raise UserError(f"--{name} is an option of orders by scores, and {order.name} is "
                                "an attribute")
    elif given := [name for name in ("count", "measure", "of", "limit")
                   if getattr(args, name) is not None]:
        raise UserError(f"--{given[0]} is an option of --by, and --images names the images")
    for name in ("dpi", "count"):
        low, high = _LIMITS[name]
        if (value := getattr(args, name)) is not None and not low <= value <= high:
            raise UserError(f"--{name} {value}: from {low} to {high}")
    for path in args.out or ():
        require_kind(path)
    require_own_files({}, [("--out", path) for path in args.out or ()])


def _by_scores(args: argparse.Namespace, material: Material) -> dict[Image, str]:
    """The images that scores choose → each method's score, for the caption."""
    measure = args.measure or _MEASURE
    images, candidates = by_order(material.scores, args.by, args.count or _COUNT, measure, args.of)
    return {image: f"{measure} of " + ", ".join(
                f"{name} {printed(score, 3)}" for name, score in candidates.scores[image].items())
            for image in images}


def _by_attribute(args: argparse.Namespace, order: ByAttribute,
                  material: Material) -> dict[Image, str]:
    """The images that an attribute chooses → its value, for the caption.

    Raises:
        UserError: a method lacks maps, without --allow-missing, or no image has the attribute.
    """
    sets = {dataset: pairs[:args.limit] for dataset, pairs in material.sets.items()}
    images = [(dataset, pair.name) for dataset, pairs in sets.items() for pair in pairs]
    lacking = {f"{method} has no map of {dataset}/{name}": (dataset, name)
               for dataset, name in images for method in material.methods
               if name not in material.maps.get((method, dataset), {})}
    _require_all(args, list(lacking))
    without = set(lacking.values())
    whole = [image for image in images if image not in without]
    if not whole:
        raise UserError("--by: there is no image that all methods have a map of")
    attributes = {dataset: kept_attributes(dataset, pairs, PROFILES[args.profile])
                  for dataset, pairs in sets.items()}
    label, unit = ATTRIBUTES[order.name].label, ATTRIBUTES[order.name].unit
    values = order.first(args.count or _COUNT, attributes, whole)
    return {image: f"{label} {value:.4g}" + (f" ({unit})" if unit else "")
            for image, value in values.items()}


def _require_all(args: argparse.Namespace, lacking: Sequence[str]) -> None:
    """Refuse maps that are ``lacking``, sentences, unless ``--allow-missing`` is given."""
    if lacking and not args.allow_missing:
        raise UserError(list_problems(
            "--by chooses among the images that all methods have", lacking,
            "Make these maps, or choose among the other images with --allow-missing"))


def _scored(args: argparse.Namespace, labels: Sequence[Label]) -> Material:
    """Maps and their scores, as ``page`` and ``curves`` have them."""
    sets, refused = scored_as_asked(args, [label.name for label in labels] or None)
    if refused:
        raise UserError("--by chooses among the images that all methods have: mend the maps or "
                        "masks above, or choose among the others with --allow-missing")
    methods = list(dict.fromkeys(method.name for scores in sets for method in scores.methods))
    if absent := [name for name in _names(args, labels) if name not in methods and not args.gt]:
        raise UserError(f"--methods: {', '.join(absent)} has no maps of {sets[0].name}")
    _require_all(args, [f"{name} has no maps of {scores.name}" for scores in sets
                        for name in methods if name not in {own.name for own in scores.methods}])
    return Material({scores.name: scores.pairs for scores in sets}, methods,
                    {(method.name, scores.name): method.maps for scores in sets
                     for method in scores.methods}, sets)


def _unscored(args: argparse.Namespace, labels: Sequence[Label]) -> Material:
    """The same maps, found but not scored."""
    jobs, _ = find_jobs(args.pred, args.gt, args.data, args.root,
                        [label.name for label in labels] or None, args.name, args.set, args.words)
    if not jobs:
        raise UserError(f"no maps in {args.pred} that could be shown, see above")
    decide_codings(jobs, ScoringOptions(measures=("MAE",)).under(args.profile))
    maps = {}
    for job in jobs:
        if job.uncertain:
            raise UserError(job.uncertain)
        listing = list_images(job.maps, job.masks.recursive)
        maps[job.cell], _, notes = assign(listing, job.pairs, args.affix)
        note_once(listing.note, *notes)
    own = dict.fromkeys(_names(args, labels) if labels and not args.gt else
                        (job.method for job in jobs))
    return Material({job.dataset: job.pairs for job in jobs}, list(own), maps, [])


def _names(args: argparse.Namespace, labels: Sequence[Label]) -> list[str]:
    """What scoring calls the methods of ``--methods``, in their order."""
    return args.name or [Path(label.name).absolute().name for label in labels]


def _called(args: argparse.Namespace, labels: Sequence[Label], methods: Sequence[str]) -> list[str]:
    """What the methods are called in the figure: their labels, else their names."""
    own = dict(zip(methods if args.gt else _names(args, labels), labels, strict=False))
    return [own[method].text if method in own and own[method].given else method
            for method in methods]


def _samples(images: Sequence[Image], material: Material, profile: Profile | None,
             resize: bool) -> list:
    """The pictures of each image: photo where there is one, truth, and the methods' maps.

    Raises:
        UserError: maps that are missing, or files that cannot be read, all listed.
    """
    from .mosaic import Sample

    samples, problems = [], []
    for dataset, name in images:
        pair = next(pair for pair in material.sets[dataset] if pair.name == name)
        try:
            truth = read_truth(pair)
            pictures = [] if pair.image is None else [decode_image(pair.image)]
        except UnreadableError as error:
            problems.append(str(error))
            continue
        pictures.append(Picture.fromarray(truth))
        for method in material.methods:
            path = material.maps.get((method, dataset), {}).get(name)
            if path is None:
                problems.append(f"{method} has no map of {dataset}/{name}")
                continue
            try:
                values = read_map(path)
                require_fitting(path, values.shape[::-1], truth.shape[::-1], resize)
            except UnreadableError as error:
                problems.append(str(error))
                continue
            if profile is not None:
                values = to_bytes(values / 255, minmax=profile.stretch)
            pictures.append(Picture.fromarray(values))
        samples.append(Sample(pictures, truth.shape))
    if problems:
        raise UserError(list_problems("these pictures cannot be shown", problems))
    return samples


def _write(args: argparse.Namespace, names: Sequence[str], samples: Sequence,
           images: Sequence[Image]) -> list[Path]:
    """Draw the figure and write its files, each whole or not at all."""
    from .curves import to_bytes as figure_bytes
    from .mosaic import draw_mosaic

    sets = "_".join(dict.fromkeys(file_stem(dataset) for dataset, _ in images))
    paths = args.out or [RESULTS / "_figure" / f"{sets}.{kind}" for kind in ("pdf", "png")]
    figure = draw_mosaic(names, samples, args.width, args.dpi, args.transpose)
    for path in paths:
        write(path, figure_bytes(figure, require_kind(path), args.dpi))
    return paths
