"""Configuration: one schema of dataclasses, a YAML recipe over it, ``key=value`` over that."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .errors import UserError, list_problems, nearest
from .paths import absolute, absolute_spec
from .schema import EDGES, OPTIMIZERS, PRECISIONS, SCHEDULES, Config


def default_config() -> DictConfig:
    """The schema with its default values."""
    return OmegaConf.structured(Config)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> DictConfig:
    """Schema ← YAML file ← ``key=value`` overrides, checked.

    A file may name another one beside it as its ``base``, which it is laid over. Relative paths
    given in ``overrides`` are taken from the working directory, as on any command line; relative
    paths in the file are taken from the repository.

    Raises:
        UserError: the file cannot be read, a key is unknown, a value has the wrong type, a
            reported number has an unknown measure or protocol.
    """
    config = default_config()
    for file, recipe in _read_recipe(Path(path)):
        config = _lay(config, recipe, str(file))
    config = _override(config, overrides, str(path))
    _check_reported(config, str(path))  # of recipes alone: old checkpoints hold them as they were
    return config


def _check_reported(config: DictConfig, origin: str) -> None:
    from metrics.protocols import problems_of

    problems = [f"reported {row.dataset} {row.measure}: {problem}" for row in config.reported
                for problem in problems_of(row)]
    if problems:
        raise UserError(list_problems(origin, problems))


def _read_recipe(path: Path, over: tuple[Path, ...] = ()) -> list[tuple[Path, object]]:
    """A recipe file and what it holds, after its bases; ``over`` are the files that led to it."""
    if not path.is_file():
        named = f", the base of {over[-1]}" if over else ""
        raise UserError(f"configuration file not found: {path}{named}; recipes are in "
                        "configs/*.yaml")
    if path.resolve() in over:
        raise UserError(f"{path} is its own base, through {', '.join(map(str, over))}")
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(recipe, dict) or "base" not in recipe:
        return [(path, recipe)]
    base = path.parent / str(recipe.pop("base"))
    return [*_read_recipe(base, (*over, path.resolve())), (path, recipe)]


def merge_config(recipe: dict, overrides: Sequence[str] = (), origin: str = "") -> DictConfig:
    """Schema ← ``recipe`` (nested dict) ← ``key=value`` overrides, checked alike."""
    return _override(_lay(default_config(), recipe, origin), overrides, origin)


def _lay(config: DictConfig, recipe: object, origin: str) -> DictConfig:
    """A recipe, which may be anything that YAML can say, over a configuration."""
    if not isinstance(recipe, dict):
        raise UserError(f"{origin}: a recipe is a mapping of keys, not {type(recipe).__name__}")
    _refuse_interpolations(recipe, origin)
    try:
        given = OmegaConf.create(recipe)
    except OmegaConfBaseException as error:
        raise UserError(f"{origin}: {str(error).splitlines()[0]}") from None
    return _merge(config, given, origin)


def _refuse_interpolations(given: object, origin: str) -> None:
    if "${" in str(given):
        raise UserError(f"{origin}: interpolations (${{…}}) are not used in recipes")


def _override(config: DictConfig, overrides: Sequence[str], origin: str) -> DictConfig:
    """``key=value`` words over a configuration, and the check of the whole."""
    _refuse_interpolations(list(overrides), "command line")
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator or not key:
            raise UserError(f"{override!r} is not of the form key=value, for example optim.lr=1e-4")
        try:
            entry = OmegaConf.from_dotlist([override])
            if _is_list(config, key) and not _is_list(entry, key):  # data.train=ECSSD
                entry = OmegaConf.from_dotlist([f"{key}=[{value}]"])
        except (yaml.YAMLError, OmegaConfBaseException) as error:
            raise UserError(f"cannot read {override!r}: {error}") from None
        config = _merge(config, entry, "command line")
        _anchor_paths(config, key)
    _check(config, origin)
    return config


def _is_list(config: DictConfig, key: str) -> bool:
    return isinstance(OmegaConf.select(config, key), ListConfig)


def _merge(config: DictConfig, change: DictConfig, origin: str) -> DictConfig:
    known = set(_keys(config))
    for key in _keys(change):
        if key not in known and not _inside_free_field(key):
            raise UserError(f"unknown configuration key {key!r} in {origin}; "
                            f"{nearest(key, sorted(known))}")
    try:
        return OmegaConf.unsafe_merge(config, change)  # without a copy: neither is used again
    except OmegaConfBaseException as error:
        first_line = str(error).splitlines()[0]
        raise UserError(f"{origin}: {error.full_key or 'value'}: {first_line}") from None


def _inside_free_field(key: str) -> bool:
    return key.startswith(("model.options.", "loss.options.", "reported"))


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Dotted names of all groups and fields."""
    for key in config:
        name = f"{prefix}{key}"
        yield name
        value = None if OmegaConf.is_missing(config, key) else config[key]
        if isinstance(value, DictConfig):
            yield from _keys(value, f"{name}.")


def _anchor_paths(config: DictConfig, key: str) -> None:
    """Make a path that was just given on the command line absolute."""
    if key == "data.root":
        config.data.root = absolute(config.data.root)
    elif key == "data.cache" and _is_folder(config.data.cache):
        config.data.cache = absolute(config.data.cache)
    elif key == "weights.backbone" and config.weights.backbone not in ("imagenet", "none"):
        config.weights.backbone = absolute(config.weights.backbone)
    elif key == "weights.network" and config.weights.network:
        config.weights.network = absolute(config.weights.network)
    elif key in ("data.train", "val.data", "test.data"):
        OmegaConf.update(config, key, [absolute_spec(spec) for spec in
                                       OmegaConf.select(config, key)])


def _is_folder(word: str) -> bool:
    """Whether a word means a folder and not a choice that was mistyped."""
    return "/" in word or os.sep in word or (bool(word) and Path(word).is_dir())


def _check(config: DictConfig, origin: str) -> None:
    """Ranges that types cannot say."""
    problems = []

    def require(condition: bool, key: str, rule: str) -> None:
        if not condition:
            problems.append(f"{key} = {OmegaConf.select(config, key)!r}: must be {rule}")

    _check_data(config, require)
    _check_optim(config, require)
    _check_runs(config, require)
    if problems:
        raise UserError(f"{origin or 'configuration'}: " + "; ".join(problems))


def _check_data(config: DictConfig, require: Callable[[bool, str, str], None]) -> None:
    require(config.data.cache in ("memory", "none") or _is_folder(config.data.cache), "data.cache",
            "memory, none, or a folder (such as ./cache)")
    require(bool(re.fullmatch(r"[A-Za-z0-9][\w.+-]*", config.name)), "name",
            "a plain folder name (letters, digits, . _ + -)")
    require(config.seed >= 0, "seed", "0 or more")
    require(config.data.target in ("mask", "scribble"), "data.target", "mask or scribble")
    require(config.data.edges in EDGES, "data.edges", f"one of {', '.join(EDGES)}")
    require(config.data.target == "mask" or config.data.edges not in ("mask", "mask_canny"),
            "data.edges", "none, auto, files, canny or sobel where data.target is scribble: there "
            "are no masks to make edges of")
    require(config.data.edge_dilate >= 1 and config.data.edge_dilate % 2 == 1, "data.edge_dilate",
            "odd, 1 or more")
    require(config.data.image_resize in ("pillow", "opencv"), "data.image_resize",
            "pillow or opencv")
    require(config.data.mask_resize in ("bilinear", "nearest"), "data.mask_resize",
            "bilinear or nearest")
    require(config.data.scribble_resize in ("nearest", "released"), "data.scribble_resize",
            "nearest or released")
    require(not (config.data.target == "scribble" and config.val.fraction > 0), "val.fraction",
            "0 with scribbles, which cannot be scored; name masks in val.data")
    require(config.data.size >= 32, "data.size", "at least 32")
    require(len(config.data.scales) > 0 and all(s > 0 for s in config.data.scales),
            "data.scales", "a non-empty list of positive numbers")
    require(0 <= config.data.flip <= 1, "data.flip", "a probability")
    require(0 < config.data.crop <= 1, "data.crop", "above 0 and at most 1")
    require(len(config.data.mean) == 3, "data.mean", "three numbers (R, G, B)")
    require(len(config.data.std) == 3 and all(s > 0 for s in config.data.std),
            "data.std", "three positive numbers (R, G, B)")
    require(config.data.workers is None or config.data.workers >= 0, "data.workers",
            "0 or more, or null")
    require(config.data.cache_gb >= 0, "data.cache_gb", "0 or more")


def _check_optim(config: DictConfig, require: Callable[[bool, str, str], None]) -> None:
    require(config.optim.name in OPTIMIZERS, "optim.name", f"one of {', '.join(OPTIMIZERS)}")
    require(config.optim.lr > 0, "optim.lr", "positive")
    require(config.optim.weight_decay >= 0, "optim.weight_decay", "0 or more")
    require(0 <= config.optim.momentum < 1, "optim.momentum", "at least 0 and below 1")
    require(len(config.optim.betas) == 2 and all(0 <= b < 1 for b in config.optim.betas),
            "optim.betas", "two numbers, at least 0 and below 1")
    require(not config.optim.nesterov or config.optim.momentum > 0, "optim.nesterov",
            "false without momentum")
    require(config.optim.trunk_factor > 0, "optim.trunk_factor",
            "positive; optim.freeze=[trunk] does not train it")
    require(config.optim.l1 >= 0, "optim.l1", "0 or more")
    require(0 <= config.loss.smoothing < 1, "loss.smoothing", "at least 0 and below 1")
    require(config.threads is None or config.threads >= 1, "threads", "1 or more, or null")
    require(0 < config.optim.gamma < 1, "optim.gamma", "above 0 and below 1")
    require(config.optim.warmup >= 0, "optim.warmup", "0 or more")
    require(config.optim.patience >= 0, "optim.patience", "0 or more")
    require(config.optim.power > 0, "optim.power", "positive")
    for key in ("optim.clip_value", "optim.clip_norm"):
        value = OmegaConf.select(config, key)
        require(value is None or value > 0, key, "positive, or null")
    require(config.optim.schedule in SCHEDULES, "optim.schedule", f"one of {', '.join(SCHEDULES)}")


def _check_runs(config: DictConfig, require: Callable[[bool, str, str], None]) -> None:
    require(config.train.precision in PRECISIONS, "train.precision",
            f"one of {', '.join(PRECISIONS)}")
    require(config.test.precision in PRECISIONS, "test.precision",
            f"one of {', '.join(PRECISIONS)}")
    require(config.test.resize in ("logits", "probabilities"), "test.resize",
            "logits or probabilities")
    require(config.test.statistics in ("recipe", "per_set"), "test.statistics",
            "recipe or per_set")
    require(config.test.statistics == "recipe"
            or config.model.options.get("canny", "released") == "released", "test.statistics",
            "recipe where model.options.canny undoes the normalisation")
    require(config.train.on_oom in ("stop", "split"), "train.on_oom", "stop or split")
    require(config.train.max_skipped >= 0, "train.max_skipped", "0 or more")
    require(0 <= config.train.ema < 1, "train.ema", "at least 0 and below 1")
    require(config.train.patience is None or config.train.patience >= 1, "train.patience",
            "1 or more, or null")
    require(0 <= config.val.fraction < 1, "val.fraction", "at least 0 and below 1")
    require(config.val.watch in ("MAE", "loss"), "val.watch", "MAE or loss")
    require(not (config.val.watch == "loss" and config.data.target == "scribble"), "val.watch",
            "MAE with scribbles, which the sets to validate on do not have")
    require(not (config.train.compile and config.train.checkpoint_trunk), "train.compile",
            "false with train.checkpoint_trunk, which torch.compile does not take")
    require(not (config.val.fraction > 0 and config.val.data), "val.fraction",
            "0 when val.data names a set")
    for key in ("train.batch", "train.epochs", "train.log_every", "train.save_every",
                "train.images_every", "train.accumulate", "test.batch", "val.every",
                "optim.drop_every"):
        require(OmegaConf.select(config, key) >= 1, key, "1 or more")
    require(config.train.steps is None or config.train.steps >= 1, "train.steps",
            "1 or more, or null")


def help_text() -> str:
    """All keys with their defaults, for ``--help``."""
    text = OmegaConf.to_yaml(default_config())
    return "configuration keys and their defaults (give them as key=value):\n\n" + "\n".join(
        f"  {line}" for line in text.splitlines())
