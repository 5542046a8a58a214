"""Configuration: one schema of dataclasses, a YAML recipe over it, ``key=value`` over that.

``values`` reads both, by the schema's types: what is wanted as text is text as it stands.
"""

from __future__ import annotations

import functools
import json
import os
import pickle
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .choices import MASK_EDGES
from .errors import UserError, guess, nearest
from .option import items
from .paths import absolute, absolute_spec
from .recipes import recipe_names, recipe_path
from .schema import Config, OfficialWeights, ReportedNumber, groups, kind_of, options
from .values import read_word, read_yaml

#: (key, value of before) → the entries that mean the same now. Recipes, checkpoints and command
#: lines that hold the old value go on working, with a note.
RENAMED: dict[tuple[str, Any], dict[str, Any]] = {
    ("optim.schedule", "released"): {"optim.schedule": "compounding"},
    ("optim.schedule", "paper"): {"optim.schedule": "plateau", "optim.watch": "training",
                                  "optim.gamma": 0.9, "optim.patience": 2},
    ("loss.name", "cpd"): {"loss.terms": {
        "*": None, "attention": {"bce": 1}, "saliency": {"bce": 1}}},
    ("loss.name", "bgnet"): {"loss.terms": {
        "*": None, "saliency": {"structure": 1}, "side2": {"structure": 1},
        "side3": {"structure": 1}, "edge": {"dice": 3, "target": "edge"}}},
    ("loss.name", "tracer"): {"loss.terms": {
        "*": None, "saliency": {"api": 1}, "side0": {"api": 1}, "side1": {"api": 1},
        "side2": {"api": 1}, "edge": {"api": 1, "target": "edge"}}},
    ("loss.name", "wssa"): {"loss.terms": {}},  # these two are the networks' own objectives
    ("loss.name", "scwssod"): {"loss.terms": {}},
    ("data.augment", "tracer"): {"data.augment": "moves_tones_blurs"},
}

_HELP = 34  # column of --help in which the lines on the keys begin


@dataclass
class _File(Config):
    """A recipe's file."""

    base: str = ""  # the file beside it that it is laid over


def default_config() -> DictConfig:
    """The schema with its default values."""
    return pickle.loads(_pickled_defaults())


@functools.cache
def _pickled_defaults() -> bytes:
    """A copy of these bytes takes a thirtieth of the time that a new structure takes."""
    return pickle.dumps(OmegaConf.structured(Config))


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> DictConfig:
    """Schema ← YAML file ← ``key=value`` overrides, checked.

    A file may name another one beside it as its ``base``, which it is laid over. Relative paths
    given in ``overrides`` are taken from the working directory, as on any command line; relative
    paths in the file are taken from the repository.

    Args:
        path: a file, or the name of a recipe in configs/, see ``recipe_path``.

    Raises:
        UserError: the file cannot be read, a key is unknown, a value has the wrong type or is not
            among those that the key may have.
    """
    config, path = default_config(), recipe_path(path)
    for file, recipe in _read_recipe(path):
        config = _lay(config, recipe, str(file))
    return _override(config, overrides, str(path))


def _read_recipe(path: Path, over: tuple[Path, ...] = ()) -> list[tuple[Path, object]]:
    """Files and their contents: the bases of a recipe, then the recipe itself.

    Args:
        over: the files that name this one as their base, the first one first.
    """
    if not path.exists():
        named = f", the base of {over[-1]}" if over else ""
        meant = guess(path.stem, recipe_names())
        raise UserError(f"configuration file not found: {path}{named}; "
                        f"{f'{meant} ' if meant else ''}recipes are in configs/*.yaml")
    if path.resolve() in over:
        raise UserError(f"{path} is its own base, through {', '.join(map(str, over))}")
    recipe = read_yaml(path, _File)
    if recipe is None:
        recipe = {}
    if not isinstance(recipe, dict) or "base" not in recipe:
        return [(path, recipe)]
    if not isinstance(recipe["base"], str):
        raise UserError(f"{path}: base is the name of a file, not {recipe['base']!r}")
    base = path.parent / recipe.pop("base")
    return [*_read_recipe(base, (*over, path.resolve())), (path, recipe)]


def merge_config(recipe: dict, overrides: Sequence[str] = (),
                 origin: str = "configuration") -> DictConfig:
    """As ``load_config``, for a recipe in a nested dict; ``origin`` names it in messages."""
    return _override(_lay(default_config(), recipe, origin), overrides, origin)


def _lay(config: DictConfig, recipe: object, origin: str) -> DictConfig:
    """Lay a recipe, which may hold anything that YAML can express, over a configuration."""
    if not isinstance(recipe, dict):
        raise UserError(f"{origin}: a recipe is a mapping of keys, not {type(recipe).__name__}")
    if dotted := [key for key in recipe if "." in str(key)]:
        group, _, key = dotted[0].partition(".")
        raise UserError(f"{origin}: {dotted[0]} is how a command line names a key; a recipe has "
                        f"{group}: {{{key}: …}}")
    given = _created(recipe, origin)
    _renew(given, origin)
    return _merge(config, given, origin)


def _created(recipe: dict, origin: str) -> DictConfig:
    """A recipe for OmegaConf, whose own marks for texts that stand for others are refused."""
    try:
        for text in items(recipe):
            if isinstance(text, str) and ("${" in text or "\0" in text or text == "???"):
                raise UserError(f"{origin}: {_quoted(text)} cannot be a value: interpolations "
                                "(${…}), ??? and zero bytes are not used in recipes")
        return OmegaConf.create(recipe)
    except OmegaConfBaseException as error:
        raise UserError(f"{origin}: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise UserError(f"{origin}: lists and mappings lie too deep in each other") from None


def _renew(given: DictConfig, origin: str) -> bool:
    """Put today's entries in the place of renamed values; returns whether there were any."""
    renewed = False
    for (key, old), entries in RENAMED.items():
        group, _, name = key.rpartition(".")
        keys = given.get(group) if group else given
        if isinstance(keys, DictConfig) and keys.get(name) in (old, [old]):
            del keys[name]
            for new, value in entries.items():
                OmegaConf.update(given, new, value, merge=False)
            now = " ".join(f"{new}={_shown(value)}" for new, value in entries.items())
            _note(f"{origin}: {key}={old} is " + (f"now {now}" if now else "no longer needed"))
            renewed = True
    return renewed


@functools.cache  # a recipe may be read more than once
def _note(message: str) -> None:
    print(f"note: {message}", file=sys.stderr)


def _override(config: DictConfig, overrides: Sequence[str], origin: str) -> DictConfig:
    """Lay ``key=value`` words over a configuration, and check the whole."""
    origins: dict[str, str] = {}
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator or not key:
            raise UserError(f"{override!r} is not of the form key=value, for example optim.lr=1e-4")
        entry = read_word(key, value, kind_of(key))
        for part in reversed(key.split(".")):
            entry = {part: entry}
        entry = _created(entry, "command line")
        _renew(entry, "command line")
        config = _merge(config, entry, "command line",
                        replaces=key.count(".") < 3)  # loss.terms.saliency.bce is one weight
        for given in flat(entry):
            _anchor_path(config, given)
            origins[given] = "command line"
    _check(config, defaultdict(lambda: origin, origins))
    return config


def _merge(config: DictConfig, change: DictConfig, origin: str,
           replaces: bool = True) -> DictConfig:
    """``change`` over a configuration; an entry of loss.terms ``replaces`` an older one."""
    known = {key: option.default for key, option in options()}
    known |= {prefix.removesuffix("."): None for prefix in groups() if prefix}
    free = tuple(f"{key}." for key, default in known.items() if isinstance(default, dict))
    for key in flat(change):
        if key not in known and not key.startswith(free):
            raise UserError(f"unknown configuration key {key!r} in {origin}; "
                            f"{nearest(key, sorted(known))}")
    if replaces:
        _replace_terms(config.loss.terms, OmegaConf.select(change, "loss.terms"), origin)
    try:
        return OmegaConf.unsafe_merge(config, change)  # without a copy: neither is used again
    except (OmegaConfBaseException, TypeError) as error:  # the second: a list for a mapping
        first_line = str(error).splitlines()[0]
        raise UserError(f"{origin}: " + (_misfit(change) or
                                         f"{getattr(error, 'full_key', None) or 'value'}: "
                                         f"{first_line}")) from None
    except OverflowError as error:  # a whole number that no float is as large as
        raise UserError(f"{origin}: {error}") from None


#: What a value of a type is, to follow 'must be'.
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number",
          dict: "a mapping", list: "a list"}


def _misfit(change: DictConfig) -> str:
    """What is wrong with the first entry whose type is not its key's; empty if that is not seen."""
    for key, value in flat(change).items():
        if f"{key}." in groups():
            inner = next(name for name, _ in options() if name.startswith(f"{key}."))
            return (f"{key} is a group of keys, such as {inner}, and has no value of its own; "
                    "indent its keys under it, or leave it out")
        kind, given = kind_of(key), "has no value" if value is None else f"= {_quoted(value)}"
        if not _is_a(value, kind):
            outer, empty = get_origin(kind) or kind, ""
            if outer is UnionType:
                outer, empty = get_args(kind)[0], ", or null"
            item = f", of which each item is {_WORDS.get(get_args(kind)[0], 'a mapping')}" \
                if outer is list else ""
            return f"{key} {given}: must be {_WORDS[outer]}{empty}{item}"
    return ""


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a plain value is of a type of the schema."""
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_is_a(each, get_args(kind)[0]) for each in value)
    if kind is Any or is_dataclass(kind):
        return kind is Any or isinstance(value, dict)
    kinds = tuple(get_origin(each) or each for each in (get_args(kind) or (kind,)))
    if get_origin(kind) is dict:
        kinds = (dict,)
    return isinstance(value, kinds + (int,) * (float in kinds)) and \
        (bool in kinds or not isinstance(value, bool))


def _replace_terms(table: DictConfig, entries: DictConfig | None, origin: str) -> None:
    """Move ``entries`` into loss.terms, whole. An output whose entry is null is dropped; all are
    with ``*: null`` or without any entry."""
    if entries is None:
        return
    if not isinstance(entries, DictConfig):
        raise UserError(f"{origin}: loss.terms is a mapping such as {{saliency: {{bce: 1}}}}, not "
                        f"{entries!r}")
    if not entries or "*" in entries:
        table.clear()
        entries.pop("*", None)
    for output in list(entries):
        if (entry := entries.pop(output)) is not None:
            table[output] = entry  # in the old one's place: terms are added up in this order
        elif output in table:
            del table[output]
        else:
            raise UserError(f"{origin}: loss.terms.{output}=null drops an output that has no loss; "
                            f"these have: {', '.join(table)}")


def flat(config: DictConfig | dict, prefix: str = "") -> dict[str, Any]:
    """Dotted key → plain value; lists count as one value."""
    values = {}
    for key, value in (config if isinstance(config, dict) else
                       OmegaConf.to_container(config, resolve=True)).items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else \
            {f"{prefix}{key}": value}
    return values


def _anchor_path(config: DictConfig, key: str) -> None:
    """Make the path absolute that the command line gives for a key."""
    value = OmegaConf.select(config, key)
    if key in ("data.train", "data.edge_train", "val.data", "test.data"):
        OmegaConf.update(config, key, [absolute_spec(spec) for spec in value])
    elif (key == "data.root" or (key in ("data.body", "data.detail") and value)
          or (key == "data.cache" and _is_folder(value))
          or (key == "weights.backbone" and value not in ("imagenet", "none"))
          or (key == "weights.network" and value)):
        OmegaConf.update(config, key, absolute(value))


def _is_folder(word: str) -> bool:
    """Whether a word is a folder, and not a mistyped choice."""
    return "/" in word or os.sep in word or (bool(word) and Path(word).is_dir())


def _check(config: DictConfig, origins: Mapping[str, str]) -> None:
    """Refuse values that the schema does not allow, and those that do not go together; ``origins``
    says where a key's value is from."""
    problems: dict[str, list[str]] = {}
    for key, holds, rule in _rules(config):
        if not holds:
            problems.setdefault(origins[key], []).append(
                f"{key} = {_quoted(OmegaConf.select(config, key))}: must be {rule}")
    if problems:
        raise UserError("\n".join(f"{origin}: " + "; ".join(own)
                                  for origin, own in problems.items()))


def _quoted(value: object) -> str:
    """A value for a message; a text as the user wrote it."""
    return f"'{value}'" if isinstance(value, str) and value.isprintable() else repr(value)


def _rules(config: DictConfig) -> Iterator[tuple[str, bool, str]]:
    """Rules: the key that it is on, whether its value keeps to it, and what it must be."""
    yield from _rules_of_single_values(OmegaConf.to_container(config))
    for number, row in enumerate(config.official):
        yield (f"official[{number}].sha256", bool(re.fullmatch("([0-9a-f]{64})?", row.sha256)),
               "64 hexadecimal digits, or empty")
    data, optim, train, val, test = (config[group] for group in
                                     ("data", "optim", "train", "val", "test"))
    yield ("name", bool(re.fullmatch(r"[A-Za-z0-9][\w.+-]*", config.name)),
           "a plain folder name (letters, digits, . _ + -)")
    yield ("data.cache", data.cache in ("memory", "none") or _is_folder(data.cache),
           "memory, none, or a folder (such as ./cache)")
    yield ("data.edge_dilate", data.edge_dilate > 0 and data.edge_dilate % 2 == 1,
           "odd, 1 or more")
    yield "data.scales", len(data.scales) > 0, "a list with one number or more"
    yield "test.scales", len(test.scales) > 0, "a list with one number or more"
    if data.target == "scribble":
        yield ("data.edges", data.edges not in MASK_EDGES, "none, auto, files, canny "
               "or sobel where data.target is scribble: there are no masks to make edges of")
        yield ("val.fraction", val.fraction == 0,
               "0 with scribbles, which cannot be scored; name masks in val.data")
        yield ("val.watch", val.watch != "loss",
               "MAE with scribbles, which the sets to validate on do not have")
    yield "optim.nesterov", not optim.nesterov or optim.momentum > 0, "false without momentum"
    yield ("train.compile", not (train.compile and train.checkpoint_trunk),
           "false with train.checkpoint_trunk, which torch.compile does not take")
    yield "val.fraction", not (val.fraction > 0 and val.data), "0 when val.data names a set"
    yield ("test.statistics", test.statistics == "recipe"
           or config.model.options.get("canny", "released") == "released",
           "recipe where model.options.canny undoes the normalisation")


def _rules_of_single_values(values: dict[str, Any]) -> Iterator[tuple[str, bool, str]]:
    """As ``_rules``: those rules of the schema's options that the values break."""
    for key, option in options():
        group, _, name = key.rpartition(".")
        value = (values[group] if group else values)[name]
        if not option.allows(value):
            match = guess(value, option.choices) if isinstance(value, str) else ""
            yield key, False, f"{option.rule} ({match or option.help})"
    for key, kind in (("reported", ReportedNumber), ("official", OfficialWeights)):
        for number, row in enumerate(values[key]):
            for each in fields(kind):
                option = each.metadata["option"]
                if not option.allows(row[each.name]):
                    yield (f"{key}[{number}].{each.name}", False,
                           f"{option.rule} ({option.help})")


def help_text() -> str:
    """All keys with their defaults, what they do and what they may be, for ``--help``."""
    lines = ["configuration keys with their defaults, to be given as key=value. A text is taken as "
             "it\nstands, also in [a, b] (quote an item that holds a comma); the rest is YAML:"]
    last = None
    for key, option in options():
        prefix = key[:key.rfind(".") + 1]
        if prefix != last:
            lines += ["", groups()[prefix].__doc__ or ""]
            last = prefix
        each = isinstance(option.choices, Mapping)
        rule = f" ({option.rule})" if option.rule and not each else ""
        paragraphs = [option.help + (":" if each else rule)]
        paragraphs += [f"  {name}: {text}" for name, text in option.choices.items()] if each else []
        left = f"  {key}={_shown(option.default)}"
        for paragraph in paragraphs:
            for line in textwrap.wrap(paragraph, 100 - _HELP, subsequent_indent="  " * each):
                lines.append(f"{left:{_HELP}}{line}")
                left = ""
    return "\n".join(lines)


def _shown(value: Any) -> str:
    """A value as it is given on the command line."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return text.replace('"', "") or "''"
