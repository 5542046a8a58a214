"""What a recipe may say: the groups and keys, their types, defaults and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "step", "released", "poly", "poly_epoch", "triangular", "cosine",
             "plateau", "paper")
EDGES = ("none", "auto", "files", "mask", "mask_canny", "canny", "sobel")
PRECISIONS = ("auto", "bf16", "fp16", "fp32")


@dataclass
class ModelConfig:
    name: str = "cpd_vgg"  # a name that model.names() lists
    options: dict[str, Any] = field(default_factory=dict)  # arguments of the network


@dataclass
class WeightsConfig:
    backbone: str = "imagenet"  # imagenet | none (from scratch) | a file with the trunk's weights
    network: str | None = None  # a file with all weights to start from, instead of the backbone


@dataclass
class LossConfig:
    name: str = "cpd"  # a name that objectives.names() lists
    variant: str = "released"  # released | paper, where the two differ
    options: dict[str, Any] = field(default_factory=dict)  # single differences, see losses/
    smoothing: float = 0.0  # masks are drawn towards one half by this share


@dataclass
class DataConfig:
    root: str = "datasets"  # the folder that holds the data sets
    target: str = "mask"  # mask | scribble: what there is to learn from
    edges: str = "none"  # edge maps to learn from: none | files | mask (TRACER's band, made of the
    #                      masks) | mask_canny (made of the masks) | canny | sobel (made of the
    #                      images) | auto (files if there are any, else mask; canny for scribbles)
    edge_dilate: int = 1  # side of the square that edges are dilated with, before the resize; odd
    image_resize: str = "pillow"  # pillow | opencv: both bilinear; OpenCV's skips pixels
    mask_resize: str = "bilinear"  # bilinear | nearest: how masks and edges come to the input size
    scribble_resize: str = "nearest"  # nearest | released (linear, which invents labels)
    train: list[str] = field(default_factory=lambda: ["DUTS-TR"])  # names, or IMAGES:MASKS
    size: int = 352  # input height and width; images are squashed to it, as the papers do
    scales: list[float] = field(default_factory=lambda: [1.0])  # one is drawn for each batch
    flip: float = 0.0  # probability of a horizontal flip
    crop: float = 1.0  # smallest share of the area that a random crop keeps; 1 = no crop
    augment: Any = "none"  # names of augmentations, see data/augmentation.py
    soft_mask: bool = False  # keep grey mask values instead of cutting them at one half
    mean: list[float] = field(default_factory=lambda: [0.485, 0.456, 0.406])
    std: list[float] = field(default_factory=lambda: [0.229, 0.224, 0.225])
    workers: int | None = None  # loader processes; 0 loads in the main one, null: one a core, to 8
    cache: str = "memory"  # decoded training samples: memory | none | a folder that keeps them
    cache_gb: float = 8.0  # of them; in memory also at most half of what is free


@dataclass
class OptimConfig:
    name: str = "adam"  # adam | adamw | sgd
    lr: float = 1e-4
    weight_decay: float = 0.0
    momentum: float = 0.9  # of sgd
    nesterov: bool = False  # of sgd
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])  # of adam and adamw
    decay_all: bool = True  # weight decay also on biases and norms
    trunk_factor: float = 1.0  # multiplies the backbone's learning rate
    freeze: list[str] = field(default_factory=list)  # parameters or modules that are not trained
    eval_norm: list[str] = field(default_factory=list)  # modules (or all) whose batch norms use
    #                             their running statistics and keep them
    frozen_norm: list[str] = field(default_factory=list)  # the same, and are not trained
    l1: float = 0.0  # times the sum of the absolute weights that decay
    clip_value: float | None = None  # clamp every gradient element to ± this
    clip_norm: float | None = None  # scale the gradient to at most this norm
    schedule: str = "constant"  # constant | step | released | poly | poly_epoch | triangular |
    #                             cosine | plateau | paper, see utils/optim.py
    warmup: int = 0  # steps over which the rate rises from 0
    gamma: float = 0.1  # factor of step, released and plateau
    drop_every: int = 50  # epochs, of step and released
    power: float = 0.9  # of poly and poly_epoch
    patience: int = 5  # epochs, of plateau


@dataclass
class TrainConfig:
    batch: int = 10  # images, of each process
    epochs: int = 99
    steps: int | None = None  # stop after this many steps, whatever the epochs say
    log_every: int = 20  # steps between rows of log.csv
    save_every: int = 500  # steps between checkpoints; one is also written after every epoch
    images_every: int = 500  # steps between pictures for TensorBoard
    precision: str = "auto"  # auto (bf16 where the hardware has it) | bf16 | fp16 | fp32
    accumulate: int = 1  # parts into which a batch is split to need less memory
    on_oom: str = "stop"  # stop | split (the batch into more parts) when memory runs out
    checkpoint_trunk: bool = False  # compute the backbone twice to need less memory
    compile: bool = False  # torch.compile the network
    sync_norm: bool = False  # batch norms over the batches of all processes
    max_skipped: int = 0  # steps with a loss or gradient that is not finite, left out
    ema: float = 0.0  # decay of an average of the weights, which is then tested; 0 for none
    patience: int | None = None  # stop after this many validations without a better one


@dataclass
class ValConfig:
    data: list[str] = field(default_factory=list)  # named sets to validate on
    fraction: float = 0.0  # or this share of the training pairs, held out by the seed
    every: int = 1  # epochs between validations
    watch: str = "MAE"  # MAE | loss: which is best, and moves the plateau schedule


@dataclass
class TestConfig:
    data: list[str] = field(default_factory=lambda: ["ECSSD"])
    batch: int = 10
    minmax: bool = False  # stretch every map to 0–255, where the paper does it
    resize: str = "logits"  # logits | probabilities: what is brought to the image's own size
    statistics: str = "recipe"  # recipe (data.mean and data.std, as in validation) | per_set (those
    #                             of each published set)
    precision: str = "fp32"  # fp32 | bf16 | fp16 | auto; the maps differ by a byte here and there


@dataclass
class Reported:
    """One number of the paper: ``measure`` on ``dataset``, and how far it can be trusted."""

    dataset: str = ""
    measure: str = ""  # as the paper calls it: a column of eval.py, or F or E where it says no more
    value: float = 0.0
    digits: int = 3  # after the point, as printed: YAML does not keep the last zero of .8650
    source: str = ""
    verified: bool = False  # read in the source itself
    protocol: str = ""  # how it was made, a name of metrics/protocols.py


@dataclass
class Config:
    name: str = "run"  # the run's folder in checkpoints/ and the method's folder in results/
    paper: str = ""
    seed: int = 0
    threads: int | None = None  # of torch on a CPU; null: the cores that this process may use
    model: ModelConfig = field(default_factory=ModelConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    val: ValConfig = field(default_factory=ValConfig)
    test: TestConfig = field(default_factory=TestConfig)
    reported: list[Reported] = field(default_factory=list)
