"""What a recipe may say: every key with its type, default, choices or range, and a line of help.

``utils.config`` checks values by it and prints it for ``--help``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from .choices import (
    BOARD,
    DECOUPLINGS,
    EDGES,
    IMAGE_RESIZES,
    MASK_CODINGS,
    OPTIMIZERS,
    PRECISIONS,
    PUBLISHERS,
    RESIZES,
    SCALES,
    SCHEDULES,
    VOIDS,
)
from .option import Option, option

#: Bounds that no run comes near; what is beyond is a slip, and would end in NaN or a full memory.
COUNT, IMAGES, FACTOR = 10**9, 2**16, 10**6


def sides(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width that a ``data.size`` of numbers gives: one number is both."""
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


@dataclass
class ModelConfig:
    """The network."""

    name: str = option("cpd_vgg", "the network; each has a recipe of its name in configs/")
    options: dict[str, Any] = option({}, "arguments of the network, such as model.options.width=.5",
                                    low=-FACTOR, high=FACTOR)


@dataclass
class WeightsConfig:
    """The weights that training starts from."""

    backbone: str = option("imagenet", "the trunk's: imagenet, none (random), or a file")
    network: str | None = option(None, "a file with weights of the whole network, used instead; "
                                "./null is a file of that name")
    key: str = option("", "under which the file holds them, such as params_ema, if several fit")
    partial: bool = option(False, "load the tensors that fit and list the others")


@dataclass
class LossConfig:
    """What the network learns from."""

    terms: dict[str, Any] = option({}, "output: {loss: weight, target: layer}, see "
                                   "docs/objectives.md; empty: the network's own objective",
                                   low=-FACTOR, high=FACTOR)
    variant: str = option("released", "whose losses, where code and paper differ",
                          choices=("released", "paper"))
    options: dict[str, Any] = option({}, "single differences from the variant, see docs/",
                                    low=-FACTOR, high=FACTOR)
    smoothing: float = option(0.0, "share by which masks are drawn towards 1/2", low=0, below=1)


@dataclass
class DataConfig:
    """What is read for training, and how it is prepared."""

    root: str = option("datasets", "the folder that holds the data sets")
    target: str = option("mask", "the labels that are learned from", choices=("mask", "scribble"))
    edges: str = option("none", "where edge maps come from", choices=EDGES)
    edge_train: list[str] = option([], "sets of images and edge maps of their own, or .lst files, "
                                   "that edges are learned from in place of data.edges")
    edge_dilate: int = option(1, "side in pixels of the square that dilates edges, odd",
                              low=1, high=255)
    body: str = option("", "folder of LDF's body maps, <set>/*.png, as test.py writes them with "
                       "test.output; empty: they are made of the masks")
    detail: str = option("", "the same of its detail maps")
    decoupling: str = option("released", "how body and detail are made of masks",
                             choices=DECOUPLINGS)
    image_resize: str = option("pillow", "whose bilinear resize images get", choices=IMAGE_RESIZES)
    mask_resize: str = option("bilinear", "how masks and edges are resized",
                              choices=("bilinear", "nearest"))
    scribble_resize: str = option("nearest", "how scribbles are resized; released: bilinear, "
                                  "which invents labels", choices=("nearest", "released"))
    train: list[str] = option(["DUTS-TR"], "sets to train on: names, folders, or IMAGES:MASKS")
    limit: int | None = option(None, "take only so many of their pairs, evenly spaced, for a small "
                               "run; null: all", low=1, high=COUNT)
    recursive: bool = option(False, "read the subfolders of image and mask folders too; they are "
                             "part of the names")
    mask_prefix: str = option("", "what the names of masks begin with and those of their images do "
                              "not; empty: recognised where it is one for all")
    mask_suffix: str = option("", "the same of the ends of the names, such as _mask")
    size: Any = option(352, "pixels that images are squashed to, both sides or [height,width]; "
                       "native: they keep their own sizes", sides=True, low=32, high=8192)
    scales: list[float] = option([1.0], "factors on the size, one drawn for each batch", above=0,
                                 high=16)
    flip: float = option(0.0, "probability of a horizontal flip", low=0, high=1)
    crop: float = option(1.0, "smallest share of the area that a random crop keeps; 1: no crop",
                         above=0, high=1)
    augment: Any = option("none", "more augmentation, after crop and flip: a list of names, of "
                          "which each may have options, see docs/datasets.md",
                          low=-FACTOR, high=FACTOR)
    mask_coding: str = option("auto", "what the numbers in mask files mean", choices=MASK_CODINGS)
    mask_threshold: int | None = option(None, "what is above is object: of 0 to 255 with binary "
                                        "and alpha, of the file's numbers with levels; null: one "
                                        "half, or 0 with levels", low=0, high=65534)
    mask_void: str = option("error", "what pixels of masks are that are neither object nor "
                            "background", choices=VOIDS)
    mask_void_value: int | None = option(None, "their number in levels, or index in palettes; "
                                         "null: 255 in palettes, none in levels", low=1, high=65535)
    mask_trimap: list[int] = option([255, 0, 128], "numbers of foreground, background and unknown "
                                    "(void) in trimaps", length=3, low=0, high=65535)
    soft_mask: bool = option(False, "keep the greys of masks, instead of cutting them at one half")
    channels: str = option("rgb", "their order, in data.mean too", choices=("rgb", "bgr"))
    scale: str = option("white", "what images are divided by, before the mean is subtracted",
                        choices=SCALES)
    range: int = option(1, "white, before the mean is subtracted: 1, or 255 as in Caffe", low=1,
                        high=255)
    mean: list[float] = option([0.485, 0.456, 0.406], "mean of R, G, B", length=3, low=0, high=255)
    std: list[float] = option([0.229, 0.224, 0.225], "deviation of R, G, B", length=3, low=1e-3,
                              high=1000)
    workers: int | None = option(None, "processes that load; 0: the main one does; null: one a "
                                 "core, at most 8", low=0, high=1024)
    cache: str = option("memory", "keeps decoded training samples: memory, none, or a folder")
    cache_gb: float = option(8.0, "its size in GB; in memory also at most half of the free", low=0,
                             high=FACTOR)


@dataclass
class OptimConfig:
    """The optimizer and its learning rate."""

    name: str = option("adam", "the optimizer", choices=OPTIMIZERS)
    # Beyond this it is infinite in float32. A rate that only diverges is named by the loss.
    lr: float = option(1e-4, "learning rate", above=0, high=1e30)
    weight_decay: float = option(0.0, "weight decay", low=0, high=1000)
    momentum: float = option(0.9, "momentum of sgd", low=0, below=1)
    nesterov: bool = option(False, "Nesterov's momentum for sgd")
    betas: list[float] = option([0.9, 0.999], "decays of adam and adamw", length=2, low=0, below=1)
    decay_all: bool = option(True, "weight decay on biases and norms too")
    decay_bias: bool = option(True, "weight decay on biases")
    no_decay: list[str] = option([], "parameters without weight decay, by patterns such as *.bias")
    bias_factor: float = option(1.0, "factor on the learning rate of biases", above=0,
                                high=1000)
    trunk_factor: float = option(1.0, "factor on the trunk's learning rate; optim.freeze=[trunk] "
                                 "leaves the trunk as it is", above=0, high=1000)
    freeze: list[str] = option([], "parameters or modules that are not trained")
    eval_norm: list[str] = option([], "modules (or all) whose batch norms keep running statistics")
    frozen_norm: list[str] = option([], "the same, and these batch norms are not trained")
    l1: float = option(0.0, "weight of the sum of the absolute values of weights that decay", low=0,
                      high=1000)
    clip_value: float | None = option(None, "clamp each element of the gradient to ± this", above=0,
                                      high=COUNT)
    clip_norm: float | None = option(None, "scale the gradient to at most this norm", above=0,
                                     high=COUNT)
    schedule: str = option("constant", "the factor on the learning rate, of t from 0 to 1",
                           choices=SCHEDULES)
    floor: float = option(0.0, "factor that triangular and triangular_epoch begin and end with",
                          low=0, below=1)
    warmup: int = option(0, "steps over which the rate rises from 0", low=0, high=COUNT)
    gamma: float = option(0.1, "factor of the schedules step, milestones, compounding and plateau",
                          above=0, below=1)
    drop_every: int = option(50, "epochs between drops of the schedules step and compounding",
                             low=1, high=COUNT)
    milestones: list[int] = option([], "epochs after which the schedule milestones drops", low=1,
                                   high=COUNT)
    restart: bool = option(False, "forget the optimizer's moments after each of these epochs")
    power: float = option(0.9, "exponent of the schedules poly and poly_epoch", above=0, high=100)
    patience: int = option(5, "epochs that the schedule plateau waits", low=0, high=COUNT)
    watch: str = option("validation", "what the schedule plateau watches: the mean training loss, "
                        "or val.watch where there is a validation",
                        choices=("validation", "training"))


@dataclass
class TrainConfig:
    """The run of train.py."""

    batch: int = option(10, "images in a batch, of each process", low=1, high=IMAGES)
    epochs: int = option(99, "epochs", low=1, high=10**6)
    steps: int | None = option(None, "stop after this many steps, whatever the epochs say", low=1,
                               high=COUNT)
    log_every: int = option(20, "steps between rows of log.csv", low=1, high=COUNT)
    save_every: int = option(500, "steps between checkpoints; each epoch also ends with one", low=1,
                            high=COUNT)
    images_every: int = option(500, "steps between pictures for TensorBoard", low=1, high=COUNT)
    board: list[str] = option(["hparams"], "what TensorBoard gets besides when the run has ended; "
                              "[]: nothing", choices=BOARD)
    precision: str = option("auto", "of the forward pass; auto: bf16 where the hardware has it",
                            choices=PRECISIONS)
    accumulate: int = option(1, "parts into which a batch is split to need less memory", low=1,
                            high=IMAGES)
    on_oom: str = option("stop", "when memory runs out: stop, or split batches into more parts",
                         choices=("stop", "split"))
    checkpoint_trunk: bool = option(False, "compute the trunk twice to need less memory")
    compile: bool = option(False, "torch.compile the network")
    sync_norm: bool = option(False, "batch norms over the batches of all processes")
    max_skipped: int = option(0, "most steps skipped for a loss or gradient not finite", low=0,
                             high=COUNT)
    ema: float = option(0.0, "decay of averaged weights, which are tested; 0: none", low=0, below=1)
    patience: int | None = option(None, "end after so many validations without a better one", low=1,
                                  high=COUNT)


@dataclass
class ValConfig:
    """Validation between epochs."""

    data: list[str] = option([], "sets to validate on")
    fraction: float = option(0.0, "or a share of the training pairs, held out", low=0, below=1)
    every: int = option(1, "epochs between validations", low=1, high=COUNT)
    watch: str = option("MAE", "what tells the best weights and moves the schedule plateau",
                        choices=("MAE", "loss"))


@dataclass
class TestConfig:
    """The maps that test.py writes."""

    data: list[str] = option(["ECSSD"], "sets to predict: names, folders, or IMAGES:MASKS")
    batch: int = option(10, "images in a batch", low=1, high=IMAGES)
    output: str = option("saliency", "the network's output that is written; others than saliency "
                         "go to <name>_<output>")
    flip: bool = option(False, "average the probabilities of each image and its mirror image")
    scales: list[float] = option([1.0], "and over these factors on the size, rounded to multiples "
                                 "of 32", above=0, high=16)
    minmax: bool = option(False, "stretch each map to 0–255, where the paper does")
    resize: str = option("logits", "what is resized to the image's own size", choices=RESIZES)
    bytes: str = option("rounded", "how values become bytes; cut drops their fractions",
                        choices=("rounded", "cut"))
    align_corners: bool = option(False, "bilinear resizing aligns corners")
    statistics: str = option("recipe", "mean and deviation: data.mean and data.std, or those of "
                             "each published set", choices=("recipe", "per_set"))
    precision: str = option("fp32", "of the forward pass; maps differ by a byte here and there",
                            choices=PRECISIONS)


@dataclass
class ReportedNumber:
    """One number of the paper: ``measure`` on ``dataset``, and how far it can be trusted."""

    dataset: str = option("", "the set, by a name that the catalog knows")
    measure: str = option("", "as the paper calls it: a column of eval.py, or F or E")
    value: float = option(0.0, "the number", low=0, high=1)
    digits: int = option(3, "digits after the point, as printed: YAML drops the last 0 of .8650",
                         low=3, high=6)
    source: str = option("", "where it was read")
    verified: bool = option(False, "whether it was read in the source itself")
    protocol: str = option("", "how it was made, a name in report/protocols.py")


@dataclass
class OfficialWeights:
    """Weights that somebody publishes for the network, or that nobody does."""

    by: str = option("authors", "who publishes them", choices=PUBLISHERS)
    file: str = option("", "where test.py --official looks, under checkpoints/: the publisher's "
                       "own name, in a folder if several recipes' files have it")
    url: str = option("", "where the publisher has it")
    licence: str = option("", "the licence of the repository that publishes it")
    sha256: str = option("", "of the file, 64 hexadecimal digits; empty: not known")
    note: str = option("", "what else one has to know")


@dataclass
class Config:
    """The run."""

    name: str = option("run", "folder of the run in checkpoints/ and of its maps in results/")
    paper: str = option("", "the paper's name, venue and year")
    seed: int = option(0, "seed of all random numbers", low=0, high=2**63 - 1)
    threads: int | None = option(None, "torch's threads on a CPU; null: one for each core", low=1,
                                 high=1024)
    model: ModelConfig = field(default_factory=ModelConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    val: ValConfig = field(default_factory=ValConfig)
    test: TestConfig = field(default_factory=TestConfig)
    official: list[OfficialWeights] = option([], "weights that others publish, for test.py "
                                             "--official; for recipes alone, see "
                                             "docs/configuration.md")
    reported: list[ReportedNumber] = option([], "the paper's numbers, for recipes alone")


def kind_of(key: str) -> Any:
    """The type of a key or of a group of keys, ``Any`` where the schema has none."""
    kind: Any = Config
    for part in key.split("."):
        kind = kinds_of(kind).get(part, Any)
    return kind


@functools.cache
def kinds_of(kind: Any) -> dict[str, Any]:
    """Field → type, of a dataclass; of other types there are none."""
    return get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}


def groups() -> Mapping[str, type]:
    """Prefix of the keys → the dataclass that holds them; the keys of the run have none."""
    return {"": Config} | {f"{each.name}.": each.default_factory for each in
                           dataclasses.fields(Config) if "option" not in each.metadata}


def options() -> Iterator[tuple[str, Option]]:
    """All keys, as ``optim.lr``, with what is known of them."""
    for prefix, group in groups().items():
        for each in dataclasses.fields(group):
            if "option" in each.metadata:
                yield f"{prefix}{each.name}", each.metadata["option"]
