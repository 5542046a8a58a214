"""Configuration: recipes, arguments, what values may be, renamed values, --help."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from typing import get_type_hints

import pytest
from omegaconf import DictConfig, OmegaConf

import model
from utils import config as config_module
from utils.config import default_config, help_text, load_config, merge_config
from utils.errors import UserError
from utils.paths import CONFIGS, ROOT, folder_pair
from utils.schema import ReportedNumber, groups, options, sides

OPTIONS = dict(options())


def recipe_with(key, value):
    """A recipe with one key."""
    group, _, name = key.rpartition(".")
    return {group: {name: value}} if group else {name: value}


def type_of(key):
    prefix = key[:key.rfind(".") + 1]
    return get_type_hints(groups()[prefix])[key.removeprefix(prefix)]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_is_valid_and_names_things_that_exist(path):
    config = load_config(path)
    assert config.name == path.stem
    assert config.model.name in model.names()
    assert model.objective_of(config).targets
    for row in config.reported:
        assert 0 < row.value < 1
        assert row.source


def test_a_recipe_is_laid_over_its_base(tmp_path):
    (tmp_path / "first.yaml").write_text("name: first\noptim: {lr: 0.5, name: sgd}\n"
                                         "data: {train: [A, B]}")
    (tmp_path / "second.yaml").write_text("base: first.yaml\nname: second\noptim: {lr: 0.25}")
    (tmp_path / "third.yaml").write_text("base: second.yaml\ndata: {train: [C]}")
    config = load_config(tmp_path / "third.yaml", ["optim.momentum=0.5"])
    assert (config.name, config.optim.lr, config.optim.name) == ("second", 0.25, "sgd")
    assert (list(config.data.train), config.optim.momentum) == (["C"], 0.5)
    (tmp_path / "first.yaml").write_text("optim: {lrr: 1}")
    with pytest.raises(UserError, match=r"'optim.lrr' in .*first.yaml; did you mean"):
        load_config(tmp_path / "third.yaml")
    (tmp_path / "first.yaml").write_text("base: third.yaml")
    with pytest.raises(UserError, match="is its own base"):
        load_config(tmp_path / "third.yaml")
    (tmp_path / "first.yaml").write_text("- 1")
    with pytest.raises(UserError, match="is a mapping of keys, not list"):
        load_config(tmp_path / "third.yaml")
    (tmp_path / "first.yaml").unlink()
    with pytest.raises(UserError, match=r"not found: .*first.yaml, the base of .*second.yaml"):
        load_config(tmp_path / "third.yaml")


def test_a_recipe_is_named_by_its_name_in_configs_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wssa").mkdir()
    (tmp_path / "mine.yaml").write_text("name: mine")
    (tmp_path / "plain").write_text("name: plain")
    for word, name in (("wssa", "wssa"), ("mine.yaml", "mine"), ("plain", "plain"),
                       (str(tmp_path / "mine.yaml"), "mine")):
        assert load_config(word).name == name
    for word, message in (("wsssa", "'wsssa': no such recipe in configs/; did you mean 'wssa'?"),
                          ("wsssa.yaml", "not found: wsssa.yaml; did you mean 'wssa'?"),
                          ("configs/wsssa.yaml", "did you mean 'wssa'?"),
                          (str(tmp_path), f"{tmp_path} is a folder"), ("", "no such recipe")):
        with pytest.raises(UserError) as error:
            load_config(word)
        assert message in str(error.value)


@pytest.mark.parametrize("override, message", [
    ("data.cache=Memory", "memory, none, or a folder"),
    ("optim.lrr=1", "did you mean 'optim.lr'"), ("trian.batch=4", "unknown configuration key"),
    ("trian.batch=4", "did you mean 'train.batch'? known: data, data.augment"),
    ("train.batch=many", "train.batch"), ("train.batch=0", "from 1 to "),
    ("data.flip=2", "probability"), ("data.size=[3]", "data.size"), ("batch", "key=value"),
    ("name=a/b", "plain folder name"), ("seed=-1", "from 0 to "),
    ("name=${x}", "interpolations"), ("optim.clip_value=0", "above 0"),
    ("optim.schedule=steps", "one of constant"), ("data.std=[0,1,1]", "from 0.001 to 1000"),
    ("optim=", "optim is a group of keys, such as optim.name, and has no value of its own"),
    ("optim.lr=", "optim.lr has no value: must be a number"),
    ("model.options=3", "model.options = 3: must be a mapping"),
    ("loss.options=[1]", "loss.options = [1]: must be a mapping"),
    ("OPTIM.LR=1", "did you mean 'optim.lr'"),
    ("train.batch=1.5", "train.batch = 1.5: must be a whole number"),
    ("data.limit=abc", "data.limit = 'abc': must be a whole number, or null"),
    ("data.limit=1.5", "data.limit = 1.5: must be a whole number, or null"),
    ("optim.clip_norm=[1]", "optim.clip_norm = [1]: must be a number, or null"),
    ("optim.betas=[x,1]", "must be a list, of which each item is a number"),
    ("data.recursive=maybe", "data.recursive = 'maybe': must be true or false")])
def test_wrong_keys_and_values_are_named(override, message):
    with pytest.raises(UserError) as error:
        load_config(CONFIGS / "cpd_vgg.yaml", [override])
    assert message in str(error.value)


def test_unknown_keys_in_a_file_and_files_that_are_none(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("optim: {learning_rate: 1}\n")
    with pytest.raises(UserError, match=r"optim\.learning_rate"):
        load_config(path)
    path.write_text("optim.lr: 1\n")
    with pytest.raises(UserError, match=r"a recipe has optim: \{lr: …\}"):
        load_config(path)
    path.write_text("a: [")
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(path)
    with pytest.raises(UserError, match="not found"):
        load_config(tmp_path / "none.yaml")


def test_overrides_win_and_paths_are_anchored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(CONFIGS / "cpd_vgg.yaml", ["data.root=sets", "optim.lr=0.5",
                                                    "model.options.width=0.5",
                                                    "data.train=ECSSD",
                                                    "test.data=[mine/img:mine/gt,SOD]"])
    assert config.data.train == ["ECSSD"]
    assert config.test.data == [f"{tmp_path}/mine/img:{tmp_path}/mine/gt", "SOD"]
    assert config.data.root == str(tmp_path / "sets")
    assert config.optim.lr == 0.5
    assert config.model.options == {"width": 0.5}
    assert ROOT / load_config(CONFIGS / "cpd_vgg.yaml").data.root == ROOT / "datasets"


@pytest.mark.parametrize("spec, folders", [
    ("ECSSD", None), ("a/b", None), ("", None), (":b", None), ("C:\\sets\\a", None),
    ("a/img:a/gt", ("a/img", "a/gt")), ("/a:/b", ("/a", "/b")),
    ("C:\\a:D:/b", ("C:\\a", "D:/b")), ("img:D:\\b", ("img", "D:\\b"))])
def test_two_folders_are_told_from_one(spec, folders):
    assert folder_pair(spec) == folders


# --- what values may be --------------------------------------------------------------------------


def test_every_key_that_may_hold_a_number_has_finite_bounds_on_both_sides():
    fields = [(key, type_of(key), option) for key, option in OPTIONS.items()]
    hints = get_type_hints(ReportedNumber)
    fields += [(each.name, hints[each.name], each.metadata["option"])
               for each in dataclasses.fields(ReportedNumber)]
    checked = set()
    for key, kind, option in fields:
        if re.search(r"\b(int|float|Any)\b", getattr(kind, "__name__", "") + str(kind)):
            checked.add(key)
            assert math.isfinite(option.low if option.above is None else option.above), key
            assert math.isfinite(option.high if option.below is None else option.below), key
    assert {"seed", "threads", "data.size", "data.workers", "data.std", "data.augment", "optim.lr",
            "optim.clip_norm", "val.every", "model.options", "loss.terms", "digits"} <= checked


@pytest.mark.parametrize("override", [
    "optim.lr=.inf", "optim.lr=nan", "optim.lr=.nan", "optim.lr=1e400", f"seed={2**64}",
    "data.size=1000000000", "train.batch=1000000000000", "data.workers=100000",
    "threads=1000000000", f"val.every={10**12}", "optim.betas=[0.9,.nan]", "data.scales=[1,.inf]",
    "model.options.width=.nan", "model.options.width=.inf", "model.options={a: [{b: .nan}]}",
    "loss.terms.saliency={bce: .inf}", "loss.terms.saliency.bce=1e300", "loss.options.smooth=.nan",
    "data.augment=[{rotate: {degrees: .inf}}]", "reported=[{measure: MAE, value: .inf}]",
    "reported=[{measure: MAE}, {value: .5, digits: 1000}]"])
def test_numbers_that_are_none_or_huge_are_refused_with_the_range(override):
    key = ".".join(override.partition("=")[0].split(".")[:2])
    bounds = "(from .* to|at least .* and below|above .* and at most)"
    with pytest.raises(UserError, match=rf"{key}\S* = .*: must be .*{bounds} "):
        load_config("cpd_vgg", [override])


@pytest.mark.parametrize("override, message", [
    ("seed=" + 70 * "9", "at most 64 digits"), ("seed=0x" + 5000 * "f", "at most 64 digits"),
    ("train.batch=4.5", "train.batch"), ("seed=12:30", "seed"), ("seed=1e3", "seed")])
def test_numbers_of_another_kind_are_named(override, message):
    with pytest.raises(UserError, match=message):
        load_config("cpd_vgg", [override])


def bounds():
    """(key, value just within a bound or at it, value at the bound or just beyond it)."""
    for key, option in OPTIONS.items():
        kind = str(type_of(key))
        for name, direction in (("low", 1), ("above", 1), ("high", -1), ("below", -1)):
            bound = getattr(option, name)
            if bound is not None:
                step = direction * (1 if "int" in kind else 1e-6 * max(1, abs(bound)))
                at = name in ("low", "high")
                pair = (bound, bound - step) if at else (bound + step, bound)
                count = (option.length or 1) if isinstance(option.default, list) else 0
                yield key, *([value] * count if count else {"x": {"y": [value]}}
                             if isinstance(option.default, dict) else value for value in pair)


@pytest.mark.parametrize("key, inside, outside", list(bounds()))
def test_every_bound_divides_what_is_allowed_from_what_is_not(key, inside, outside):
    merge_config(recipe_with(key, inside))
    with pytest.raises(UserError, match=rf"^configuration: {key} = .*: must be "):
        merge_config(recipe_with(key, outside))
    if isinstance(outside, float):
        with pytest.raises(UserError, match=rf"{key} = nan: must be "):
            merge_config(recipe_with(key, math.nan))


def test_a_size_is_a_side_or_height_and_width():
    for word, both in (("64", (64, 64)), ("[64,96]", (64, 96))):
        config = load_config(CONFIGS / "cpd_vgg.yaml", ["data.size=[32,32]", f"data.size={word}"])
        assert sides(config.data.size) == both
        again = merge_config(OmegaConf.to_container(config), [])  # as a checkpoint keeps it
        assert sides(again.data.size) == both


@pytest.mark.parametrize("override, rule", [
    ("optim.lr=0", "above 0 and at most 1e+30 (learning rate)"),
    ("optim.momentum=1", "at least 0 and below 1"),
    ("optim.gamma=1", "above 0 and below 1"), ("data.crop=0", "above 0 and at most 1"),
    ("data.size=31", "from 32 to "), ("data.size=[64,31]", "from 32 to "),
    ("data.size=[64,9000]", "from 32 to 8192"), ("data.size=[64,64,64]", "or [height,width]"),
    ("data.size=64x96", "or [height,width]"), ("data.size=[64,.5]", "or [height,width]"),
    ("data.size=[64]", "or [height,width]"), ("data.size=true", "a whole number"),
    ("data.workers=-1", "from 0 to 1024, or null"),
    ("train.patience=0", "from 1 to 1000000000, or null"),
    ("optim.clip_norm=0", "above 0 and at most 1000000000, or null"),
    ("data.mean=[0,0]", "3 numbers"), ("optim.betas=[0,1]", "2 numbers, at least 0 and below 1"),
    ("data.scales=[]", "one number or more"),
    ("data.scales=[1,0]", "above 0 and at most 16 (factors on the size"),
    ("data.edge_dilate=-1", "odd, 1 or more"), ("data.edge_dilate=2", "odd, 1 or more"),
    ("optim.name=adma", "one of adam, adamw, sgd (did you mean 'adam'?)"),
    ("test.resize=logit", "bicubic (did you mean 'logits'?)"),
    ("optim.schedule=zzz", "cosine, plateau (the factor on the learning rate"),
    ("optim.nesterov=true optim.momentum=0", "false without momentum"),
    ("train.compile=true train.checkpoint_trunk=true", "false with train.checkpoint_trunk"),
    ("val.fraction=.1 val.data=[SOD]", "0 when val.data names a set"),
    ("val.fraction=.1 data.target=scribble", "0 with scribbles"),
    ("val.watch=loss data.target=scribble", "MAE with scribbles")])
def test_an_error_says_what_a_value_must_be(override, rule):
    key = override.partition("=")[0]
    with pytest.raises(UserError) as error:
        load_config(CONFIGS / "cpd_vgg.yaml", override.split())
    assert str(error.value).startswith(f"command line: {key} = ")
    assert rule in str(error.value)


def test_what_a_recipe_and_what_the_command_line_got_wrong_are_told_apart():
    with pytest.raises(UserError) as error:
        merge_config({"optim": {"lr": 0}, "train": {"batch": 0}, "data": {"limit": 0}},
                     ["data.limit=-1"], "mine.yaml")
    given, own = sorted(str(error.value).splitlines())
    assert given.startswith("command line: data.limit = -1: ")
    assert own.startswith("mine.yaml: ") and "optim.lr = 0" in own and "train.batch = 0" in own


def test_every_choice_is_accepted_and_a_value_beside_them_is_not():
    choices_of = {key: option.choices for key, option in OPTIONS.items() if option.choices}
    assert {"optim.name", "data.edges", "train.precision", "loss.variant"} <= choices_of.keys()
    for key, choices in choices_of.items():
        listed = isinstance(OPTIONS[key].default, list)
        for choice in choices:
            merge_config(recipe_with(key, [choice] if listed else choice))
        other = ["other"] if listed else "other"
        with pytest.raises(UserError, match=rf"{key} = {re.escape(repr(other))}: must be "):
            merge_config(recipe_with(key, other))


# --- renamed values ------------------------------------------------------------------------------


@pytest.fixture
def renamed(monkeypatch):
    """Three values of this file's own; the notes on them are printed anew in every test."""
    monkeypatch.setattr(config_module, "RENAMED", {
        ("optim.schedule", "falling"): {"optim.schedule": "step", "optim.gamma": 0.5},
        ("optim.kind", "adam"): {}, ("data.train", "DUTS"): {"data.train": ["DUTS-TR", "SOD"]}})
    config_module._note.cache_clear()


def test_renamed_values_go_on_working_in_recipes_checkpoints_and_arguments(tmp_path, renamed,
                                                                           capsys):
    path = tmp_path / "old.yaml"
    path.write_text("optim: {schedule: falling, gamma: 0.25, kind: adam}")
    expected = ("step", 0.5)
    for config in (load_config(path), load_config(path),
                   merge_config({"optim": {"gamma": 0.25, "schedule": "falling"}}, origin="x.pt")):
        assert (config.optim.schedule, config.optim.gamma) == expected
    assert capsys.readouterr().err == (
        f"note: {path}: optim.schedule=falling is now optim.schedule=step optim.gamma=0.5\n"
        f"note: {path}: optim.kind=adam is no longer needed\n"
        "note: x.pt: optim.schedule=falling is now optim.schedule=step optim.gamma=0.5\n")
    demo = CONFIGS / "demo.yaml"
    config = load_config(demo, ["optim.schedule=falling", "data.train=DUTS"])
    assert (config.optim.schedule, config.optim.gamma) == expected
    assert config.data.train == ["DUTS-TR", "SOD"]
    assert "note: command line: data.train=DUTS is now data.train=[DUTS-TR,SOD]\n" in \
        capsys.readouterr().err
    assert load_config(path, ["optim.gamma=0.75"]).optim.gamma == 0.75  # what is laid over it wins
    with pytest.raises(UserError, match=r"'optim\.kind'"):
        load_config(demo, ["optim.kind=sgd"])
    with pytest.raises(UserError, match="optim is a group of keys"):
        merge_config({"optim": ["schedule"]})


# --- help ----------------------------------------------------------------------------------------


def test_help_has_every_key_with_default_and_purpose():
    text = help_text()
    keys = {}
    for line in text.splitlines():
        assert len(line) <= 100
        if match := re.fullmatch(r"  ([a-z_.0-9]+)=(\S*) +(\S.*)", line):
            keys[match[1]] = match[2]
            assert line.index(match[3]) == 34
    expected = {name for group, value in default_config().items() for name in (
        [f"{group}.{name}" for name in value] if isinstance(value, DictConfig) else [group])}
    assert keys.keys() == expected
    assert (keys["optim.lr"], keys["data.train"], keys["train.steps"], keys["train.compile"]) == \
        ("0.0001", "[DUTS-TR]", "null", "false")
    for part in ("sets to train on: names, folders, or IMAGES:MASKS",
                 "the optimizer (one of adam, adamw, sgd)", "    sobel: Sobel's gradients"):
        assert part in text


def test_defaults_of_help_are_values_that_arguments_may_have():
    lines = re.findall(r"^  ([a-z_.0-9]+=\S*)", help_text(), flags=re.MULTILINE)
    words = [word for line in lines for word in shlex.split(line)]  # as a shell reads them
    config = load_config(CONFIGS / "tracer_te0.yaml", words)
    expected = default_config()
    for group in ("model", "loss", "optim", "train", "val", "test"):
        assert config[group] == expected[group]
    assert config.data.mean == expected.data.mean
    assert (config.name, config.paper) == (expected.name, expected.paper)
