"""Texts stay texts, on the command line, in files and through a checkpoint; YAML and JSON have
bounds."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from utils.config import load_config, merge_config
from utils.errors import UserError
from utils.origin import origin_of
from utils.paths import absolute, absolute_spec
from utils.schema import kind_of, options
from utils.values import YAML_BYTES, read_json, read_word, read_yaml

TEXTS = [key for key, _ in options() if kind_of(key) is str]
LISTS = [key for key, option in options() if kind_of(key) == list[str] and not option.choices]

#: What YAML would make something else of.
TRAPS = ["2024_05_01", "on", "null", "~", "1e3", "0x10", "010", "12:30:45", "2024-05-01", "true",
         "/x/run #1", "/x/a: b", "[x]", "{y}", "*a", "&b", "!c", "%", "x ", " x", "'x'", '"x"',
         "a=b", "a,b", "- x", "? x", "|", ">", "@", "`", "a\\b", "/x/é", "=", "<<", ".inf", "", "#"]
words = st.one_of(st.sampled_from(TRAPS),
                  st.text(st.characters().filter(str.isprintable), max_size=12))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TEXTS), words)
@example("name", "2024_05_01")
@example("name", "on")
@example("data.root", "/x/${a}")
@example("paper", "???")
def test_a_text_of_the_command_line_arrives_as_it_stands_or_is_refused_by_its_name(key, text):
    try:
        value = OmegaConf.select(merge_config({}, [f"{key}={text}"]), key)
    except UserError as error:
        assert text in str(error)
        assert key not in ("paper", "model.name") or "${" in text or text == "???"
    else:
        assert value in (text, absolute(text) if key != "paper" else text)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LISTS), st.lists(words, max_size=3))
def test_items_of_lists_of_texts_arrive_as_they_stand(key, texts):
    quoted = ", ".join(json.dumps(text, ensure_ascii=False) for text in texts)
    expected = list(map(absolute_spec, texts)) if key.endswith((".data", "train")) else texts
    if not any("${" in text or text == "???" for text in texts):
        assert OmegaConf.select(merge_config({}, [f"{key}=[{quoted}]"]), key) == expected
    for text in texts:
        if text and not (text.strip().startswith("[") and text.strip().endswith("]")):
            assert read_word(key, text, list[str]) == [text]


@pytest.mark.parametrize("word, texts", [
    ("DUTS-TR", ["DUTS-TR"]), ("[DUTS-TR,ECSSD]", ["DUTS-TR", "ECSSD"]), ("", []), ("[]", []),
    ("[a, ]", ["a"]), ("[2024, on, null]", ["2024", "on", "null"]),
    ("[a b,c#d]", ["a b", "c#d"]), ("/x/run #1/set", ["/x/run #1/set"]),
    ("/x/a, b", ["/x/a, b"]), ("[/x/[1]/a: b, c #d]", ["/x/[1]/a: b", "c #d"]),
    ("""["a, b", 'c''d', "[e]"]""", ["a, b", "c'd", "[e]"]), ('["a" b]', ['"a" b'])])
def test_lists_of_texts(word, texts):
    assert read_word("data.train", word, list[str]) == texts


def test_null_is_no_text_where_none_may_be_given_and_a_text_elsewhere(tmp_path):
    config = merge_config({}, ["weights.network=null", "name=null"])
    assert (config.weights.network, config.name) == (None, "null")
    assert merge_config({}, ["weights.network=./null"]).weights.network == absolute("null")
    path = tmp_path / "recipe.yaml"
    path.write_text('name: null\nweights: {network: null}')
    config = load_config(path)
    assert (config.weights.network, config.name) == (None, "null")
    path.write_text('weights: {network: "null"}')
    assert load_config(path).weights.network == "null"


@settings(max_examples=30, deadline=None)
@given(words.filter(lambda text: "${" not in text and text != "???"))
@example("2024_05_01")
def test_a_text_of_a_file_is_what_its_author_wrote_and_survives_a_round_trip(tmp_path_factory,
                                                                             text):
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(yaml.safe_dump({"paper": text, "data": {"train": [text]}}), encoding="utf-8")
    config = load_config(path)
    assert (config.paper, config.data.train) == (text, [text])
    path.write_text(OmegaConf.to_yaml(config), encoding="utf-8")
    assert load_config(path) == config == merge_config(OmegaConf.to_container(config))


@pytest.mark.parametrize("text", TRAPS[:10])
def test_a_plain_word_of_a_file_keeps_its_letters(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"paper: {text}\nbase: base.yaml\ndata: {{train: [{text}, a]}}\n"
                    f"reported: [{{source: {text}}}]\noptim: {{freeze: on}}")
    (tmp_path / "base.yaml").write_text(f"name: x\ntest: {{data: [{text}]}}")
    config = load_config(path)
    assert (config.paper, config.reported[0].source) == (text, text)
    assert (config.data.train, config.test.data, config.optim.freeze) == \
        ([text, "a"], [text], ["on"])


def test_values_of_free_tables_and_numbers_are_yaml():
    config = merge_config({}, ["loss.terms.saliency={bce: 1, ssim: 0.5}", "model.options.on=on",
                               "model.options.width=5e-1", "train.steps=null", "seed=0x10",
                               "data.mean=.5, .5, .5", "data.scales=1", "train.compile=on",
                               "optim={lr: 1e-2, betas: [0.5, 0.75]}",
                               "data.augment=[flip, {rotate: {degrees: 10}}]"])
    assert config.loss.terms == {"saliency": {"bce": 1, "ssim": 0.5}}
    assert config.model.options == {"on": True, "width": 0.5}
    assert (config.train.steps, config.seed, config.train.compile) == (None, 16, True)
    assert (config.data.mean, config.data.scales) == ([0.5] * 3, [1.0])
    assert (config.optim.lr, config.optim.betas) == (0.01, [0.5, 0.75])
    assert config.data.augment == ["flip", {"rotate": {"degrees": 10}}]
    assert merge_config({}, ["seed=010"]).seed == 10  # not 8


def test_a_group_of_the_command_line_has_its_paths_anchored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert merge_config({}, ["data={root: sets}"]).data.root == str(tmp_path / "sets")
    (tmp_path / "a: b").mkdir()
    assert merge_config({}, ["data.train=a: b"]).data.train == [str(tmp_path / "a: b")]
    assert merge_config({}, ["data.root=~nobody-here/x"]).data.root.endswith("/~nobody-here/x")


BAD = {
    "an alias that grows": "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]", "itself": "a: &a [*a]",
    "deep": "[" * 3000, "deep mappings": "{a: " * 3000, "a tag": "seed: !!int x",
    "python": "name: !!python/object:os.system x", "a date": "seed: 2024-99-99",
    "no character": r'name: "\UFFFFFFFF"', "directive": f"%YAML 1.{'9' * 5000}\n---\nseed: 1",
    "twice": "seed: 1\nseed: 2", "a key of keys": "{[a]: 1}", "two documents": "--- 1\n--- 2",
    "digits": "seed: " + "9" * 5000, "open": "seed: [", "tab": "optim:\n\tlr: 1",
    "huge": "#" * (YAML_BYTES + 1), "zero byte": r'name: "a\0b"', "zero": "seed: \0",
    "not a mapping": "false", "a base that is none": "base: [x]", "interpolation": "name: ${seed}"}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_yaml_that_is_not_taken_is_one_error_that_names_the_file(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"^{path}\b"):
        load_config(path)


@pytest.mark.parametrize("content", [b"\xff\xfename", b"PK\x03\x04\x80\x00", b"name: \xe9"])
def test_a_file_that_is_no_text_is_named(tmp_path, content):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{path} is not valid YAML, which is text in UTF-8"):
        load_config(path)
    with pytest.raises(UserError, match="/dev/zero is no ordinary file"):
        read_yaml(type(path)("/dev/zero"))


@pytest.mark.parametrize("word", ["*a", "[&a 1, *a]", "!!int x", "[" * 3000, r'"\UFFFFFFFF"',
                                  "{a: 1, a: 2}", "${seed}", "{a: [", "9" * 5000, "???"])
@pytest.mark.parametrize("key", ["seed", "model.options.x", "data.mean", "data"])
def test_yaml_of_the_command_line_that_is_not_taken_is_one_error(key, word):
    with pytest.raises(UserError, match=rf"^{key}=|command line"):
        merge_config({}, [f"{key}={word}"])


def test_what_a_checkpoint_holds_is_refused_likewise():
    endless, deep = {}, {}
    endless["a"] = endless
    for _ in range(3000):
        deep = {"a": deep}
    for options_ in (endless, deep, {"a": "${seed}"}, {"a": {1, 2}}):
        with pytest.raises(UserError, match=r"^last\.pt: "):
            merge_config({"model": {"options": options_}}, origin="last.pt")
    with pytest.raises(UserError, match=r"^last\.pt: "):
        merge_config({"optim": {"lr": 10**400}}, origin="last.pt")


def test_json_that_is_deep_or_huge_is_a_plain_error(tmp_path, monkeypatch, capsys):
    path = tmp_path / "origin.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="too deep"):
        read_json(path)
    assert origin_of(tmp_path / "maps") is None
    assert f"note: {path} cannot be read" in capsys.readouterr().err
    monkeypatch.setattr("utils.values.JSON_BYTES", 10)
    path.write_text('{"a": 123456}')
    with pytest.raises(ValueError, match="more than"):
        read_json(path)
