"""Objectives that recipes write as tables: released totals, sums by hand, options and errors."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor

import losses
import model
import train as train_script
from model.objectives import TableObjective
from model.own_objectives import ITSDObjective
from tests.small_runs import equal, train, weights
from utils.config import load_config, merge_config
from utils.errors import UserError
from utils.paths import CONFIGS


def maps(*entries: dict) -> dict[str, dict]:
    """A table of outputs that are called 0, 1, …"""
    return {str(number): entry for number, entry in enumerate(entries)}


BASNET = {"bce": 1, "ssim": 1, "iou": 1}
EGNET_EDGE = {"balanced_bce_sum": 0.1, "target": "edge"}  # its code divides by 10 × the batch
LDF = [{"bce": 0.5, "target": "body"}, {"bce": 0.5, "target": "detail"}, {"bce": 0.5, "iou": 0.5}]
F3NET = maps(*({"structure": weight} for weight in (0.5, 0.5, 0.5, 0.25, 0.125, 0.0625)))


@pytest.mark.parametrize("name, table, choices", [
    ("f3net/total_as_released", F3NET, {}),
    ("f3net/total_paper", F3NET, {"variant": "paper"}),
    ("f3net/structure_loss_as_released@structured", maps({"structure": 1}), {}),
    ("f3net/structure_loss_paper@structured", maps({"structure": 1}), {"variant": "paper"}),
    ("f3net/structure_loss_paper@structured", maps({"structure": 1}),
     {"options": {"reduced_first": False}}),
    ("ldf/total", maps(*LDF, *LDF), {}),
    ("ldf/mask@structured", maps({"bce": 1, "iou": 1}), {}),
    ("gcpanet/total", maps(*({"bce": weight} for weight in (1, 0.8, 0.6, 0.4))), {}),
    ("scrn/total", maps({"bce": 1}, {"bce": 1, "target": "edge"}), {}),
    ("basnet/total", maps(*[BASNET] * 8), {"options": {"smooth": 0}}),
    ("basnet/ssim@structured", maps({"ssim": 1}), {}),
    ("basnet/iou@structured", maps({"iou": 1}), {"options": {"smooth": 0}}),
    ("u2net/total", maps(*[{"bce": 1}] * 7), {}),
    ("csnet/bce", maps({"bce": 1}), {}),  # its code adds the dynamic weight decay
    ("samnet/total", maps({"probability_bce": 1}, *[{"probability_bce": 0.4}] * 4), {}),
    ("hvpnet/total", maps({"probability_bce": 1}, *[{"probability_bce": 0.4}] * 3), {}),
    ("icon/total_cpr", maps(*[{"bce": 1, "iou": 1}] * 5), {}),
    ("dss/seven_bce", maps(*[{"bce": 1}] * 7), {}),
    ("poolnet/saliency", maps({"bce_sum": 0.1}), {}),
    ("poolnet/edge_balanced", maps(*[EGNET_EDGE | {"target": "soft_edge"}] * 4), {}),
    ("egnet/total", maps(EGNET_EDGE, *[{"bce_sum": 0.1}] * 9), {}),
    ("gatenet/total", maps({"bce": 1}, {"bce": 1}), {}),
    ("ras/v1_total", maps(*[{"bce": 0.5, "iou": 0.5}] * 5), {}),  # its code divides by the batch
    ("ras/v2_total", maps(*[{"bce": 1, "iou": 1}] * 4), {}),
    ("ras/bce_iou", maps({"bce": 1, "iou": 1}), {}),
    ("minet/total", maps({"bce": 1, "cel": 1}), {}),
    ("nldf/bce_area", maps({"bce": 1, "area_dice": 1}), {}),
    ("nldf/bce_boundary", maps({"bce": 1, "boundary_dice": 1}), {}),
    ("edn/bce_dice", maps(*[{"bce": 1, "batch_dice": 1}] * 5), {}),
    ("picanet/six_bce", maps(*({"bce": weight, "shrink": "max"} for weight in (
        0.5, 0.5, 0.5, 0.8, 0.8, 1))), {}),
])
def test_tables_give_the_released_totals_and_gradients(golden, agrees, name, table, choices):
    file = "losses_zoo_a"
    in_a = json.loads((golden.folder / "losses_zoo_a.json").read_text())["losses"]
    if name in in_a:
        logits, sample = inputs_of(golden, in_a[name])
    else:
        file, arrays = "losses_zoo_b", np.load(golden.folder / "losses_zoo_b_inputs.npz")
        logits = [torch.from_numpy(arrays["logit_s" if "@" in name else f"logit{number}"])
                  .requires_grad_() for number in table]
        sample = {"image": None} | {key: torch.from_numpy(arrays[key]) for key in arrays}
    # Five outputs of EDN are the channels of one tensor.
    outputs = [channel for values in logits for channel in values.split(1, dim=1)]
    _, terms = TableObjective(table, **choices)(
        lambda image: dict(zip(table, outputs, strict=True)), sample)
    agrees(name, sum(terms.values()), logits, file)


def inputs_of(golden, entry: dict) -> tuple[list[Tensor], dict]:
    """The logits that a loss of losses_zoo_a was computed with, and the sample."""
    logits = [(2 * golden.golden_input(each["shape"], each["seed"])).requires_grad_()
              for each in entry["logits"]]
    arrays = np.load(golden.folder / "losses_zoo_a.npz")
    sample = {"image": None} | {key: torch.from_numpy(arrays[key]) for key in arrays}
    if logits[-1].shape[-1] == 224:  # PiCANet's target, an ellipse, is in the entry's note
        y, x = np.mgrid[:224, :224]
        ellipse = ((y - 100) / 61) ** 2 + ((x - 90) / 43) ** 2 < 1
        sample["mask"] = torch.from_numpy(ellipse[None, None]).float()
    return logits, sample


@pytest.mark.parametrize("name, choices", [
    ("itsd/act_as_released", {"variant": "released"}),
    ("itsd/act_one_sigmoid", {"variant": "paper"}),
    ("itsd/act_one_sigmoid", {"variant": "released", "double_sigmoid": False}),
])
def test_the_adaptive_contour_loss_of_itsd_is_the_released_one(golden, agrees, name, choices):
    entry = json.loads((golden.folder / "losses_zoo_a.json").read_text())["losses"][name]
    logits, sample = inputs_of(golden, entry)
    # Golden maps are (N, h, w): sides, contours, the final map. The objective makes the contour of
    # the mask.
    names = (*(f"{kind}{level}" for kind in ("side", "contour") for level in range(5)), "saliency")
    outputs = {key: values[:, None] for key, values in zip(names, logits, strict=True)}
    _, terms = ITSDObjective(**choices)(lambda image: outputs, {"image": None,
                                                                "mask": sample["mask"]})
    assert list(terms) == [key for level in range(5)
                           for key in (f"side{level}", f"contour{level}")] + ["saliency"]
    agrees(name, sum(terms.values()), logits, "losses_zoo_a")


# --- against sums by hand ------------------------------------------------------------------------

#: name → (target, released, paper).
BY_HAND = {
    "bce": ("mask", losses.bce, losses.bce),
    "iou": ("edge", losses.iou, losses.iou),
    "structure": ("mask", losses.structure, lambda x, y: losses.structure(x, y, False)),
    "api": ("edge", losses.adaptive_pixel_intensity,
            lambda x, y: losses.adaptive_pixel_intensity(x, y, False)),
    "balanced_ce": ("scribble", losses.balanced_ce, lambda x, y: losses.balanced_ce(x, y, False)),
    "partial_bce": ("scribble", losses.partial_bce, losses.partial_bce),
}


def sample_and_outputs() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    random = torch.Generator().manual_seed(0)
    mask, edge = (torch.rand(2, 2, 1, 16, 16, generator=random) > 0.6).float()
    codes = torch.tensor([0, 1, 255])[torch.randint(3, (2, 1, 16, 16), generator=random)]
    outputs = {name: torch.randn(2, 1, 16, 16, generator=random).requires_grad_()
               for name in ("saliency", "side", "edge")}
    return {"image": torch.zeros(2, 3, 16, 16), "mask": mask, "edge": edge,
            "scribble": codes}, outputs


@given(st.dictionaries(st.sampled_from(["saliency", "side", "edge"]), st.tuples(
    st.sampled_from(["mask", "edge", "scribble"]),
    st.dictionaries(st.sampled_from(sorted(BY_HAND)), st.floats(0.0625, 4, width=16), min_size=1)),
    min_size=1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_table_is_the_sum_that_it_says(choice, as_in_code):
    sample, outputs = sample_and_outputs()
    table, expected = {}, {}
    for output, (target, entry) in choice.items():
        entry = {name: weight for name, weight in entry.items()
                 if (target == "scribble") == (BY_HAND[name][0] == "scribble")}
        if not entry:
            continue
        table[output] = entry | ({} if target == "mask" else {"target": target})
        for name, weight in entry.items():
            loss = BY_HAND[name][1 if as_in_code else 2]
            expected[f"{output}_{name}"] = weight * loss(outputs[output], sample[target])
    assume(table)
    objective = TableObjective(table, "released" if as_in_code else "paper")
    outputs_again, terms = objective(lambda image: outputs, sample)
    assert outputs_again is outputs
    assert list(terms) == list(expected)
    for name, value in expected.items():
        assert torch.equal(terms[name], value), name
    leaves = [outputs[output] for output in table]
    for ours, by_hand in zip(torch.autograd.grad(sum(terms.values()), leaves),
                             torch.autograd.grad(sum(expected.values()), leaves), strict=True):
        assert torch.equal(ours, by_hand)
    assert set(objective.targets) == {entry.get("target", "mask") for entry in table.values()}


def test_losses_on_one_target_share_the_weights_of_its_pixels(monkeypatch):
    targets = []

    def counting(target: Tensor) -> Tensor:
        targets.append(target)
        return losses.outline_weights(target)

    monkeypatch.setitem(losses.LOSSES, "structure",
                        losses.LOSSES["structure"]._replace(weigh=counting))
    sample, outputs = sample_and_outputs()
    objective = TableObjective({"saliency": {"structure": 1}, "side": {"structure": 1},
                                "edge": {"structure": 1, "target": "edge"}})
    _, terms = objective(lambda image: outputs, sample)
    assert [target is sample["mask"] for target in targets] == [True, False]
    assert torch.equal(terms["edge_structure"], losses.structure(outputs["edge"], sample["edge"]))


def test_label_smoothing_draws_masks_towards_one_half():
    sample, outputs = sample_and_outputs()

    def term(smoothing: float, mask: Tensor) -> Tensor:
        config = merge_config({"loss": {"smoothing": smoothing, "terms": {"saliency": {"bce": 2}}}})
        objective = model.objective_of(config)
        assert objective.targets == ("mask",)
        return objective(lambda image: outputs, sample | {"mask": mask})[1]["saliency_bce"]

    before = sample["mask"].clone()
    # Cross-entropy is linear in the mask: 0.8 of the mask's own and 0.2 of one half's.
    assert torch.allclose(term(0.2, sample["mask"]),
                          0.8 * term(0, sample["mask"]) + 0.2 * term(0, before * 0 + 0.5))
    assert torch.equal(sample["mask"], before)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry, message", [
    ({"bcee": 1}, r"loss\.terms\.saliency: unknown loss 'bcee'; did you mean 'bce'"),
    ({"bce": "much"}, r"loss\.terms\.saliency\.bce = 'much': a weight is a number"),
    ({"bce": True}, "a weight is a number"),
    ({"bce": float("nan")}, "a weight is a number"),
    ({"bce": None}, "a weight is a number"),
    ({}, r"loss\.terms\.saliency = {} names no loss.*structure"),
    ({"target": "edge"}, "names no loss"),
    ("bce", "= 'bce' names no loss; write, for example, {bce: 1}"),
    ({"bce": 1, "target": "image"}, "target is 'image'; it is the name of a layer to learn from"),
    ({"bce": 1, "target": ["mask"]}, "it is the name of a layer to learn from"),
    ({"bce": 1, "target": None}, "target is None; it is the name of a layer to learn from"),
    ({"bce:1": None}, "did you mean 'bce'.*YAML needs a space after the colon"),
    ({"bce": 1, "target": "scribble"}, "does not learn from scribbles; these do: partial_bce"),
    ({"partial_bce": 1}, "learns from scribbles, not from mask; add target: scribble"),
])
def test_entries_that_are_wrong_say_how_they_are_written(entry, message):
    with pytest.raises(UserError, match=message):
        TableObjective({"saliency": entry})


@pytest.mark.parametrize("options, message", [
    ({"reduced_frist": False}, r"loss\.options\.reduced_frist: no loss .* 'reduced_first'"),
    ({"double_softmax": False}, "no loss of loss.terms takes it"),
    ({"reduced_first": 1}, "must be true or false"),
    ({"smooth": False}, "must be a number"),
    ({"weights": 1}, "no loss of loss.terms takes it"),
])
def test_options_that_no_loss_takes_are_errors(options, message):
    with pytest.raises(UserError, match=message):
        TableObjective({"saliency": {"structure": 1, "iou": 1}}, options=options)


def test_weights_may_be_written_as_yaml_reads_them():
    assert TableObjective({"saliency": {"bce": "1e-1"}}).terms[0].weight == 0.1


def test_outputs_and_targets_that_are_missing_are_listed():
    sample, outputs = sample_and_outputs()
    network = model.build("cpd_vgg", width=1 / 32)
    model.require_outputs(network, TableObjective({"attention": {"bce": 1}}))
    assert all(module.training for module in network.modules())
    with pytest.raises(UserError, match="no output 'sal'; its outputs are saliency, attention"):
        model.require_outputs(network, TableObjective({"saliency": {"bce": 1}, "sal": {"bce": 1}}))
    with pytest.raises(UserError, match="no layer 'body'; they hold image, mask, edge, scribble"):
        TableObjective({"edge": {"bce": 1, "target": "body"}})(lambda image: outputs, sample)


def test_a_network_without_table_and_objective_is_an_error():
    with pytest.raises(UserError, match=r"loss\.terms is empty, and cpd_vgg has no objective"):
        model.objective_of(merge_config({"model": {"name": "cpd_vgg"}}))
    with pytest.raises(UserError, match=r"smoothing is for masks.*learns from scribble, edge"):
        model.objective_of(merge_config({"model": {"name": "wssa"}, "loss": {"smoothing": 0.1}}))


# --- recipes and command lines -------------------------------------------------------------------


def terms_after(tmp_path, child: str, *overrides: str) -> dict:
    (tmp_path / "base.yaml").write_text(
        "loss: {terms: {attention: {bce: 1}, saliency: {structure: 1, iou: 2}}}")
    (tmp_path / "child.yaml").write_text(f"base: base.yaml\n{child}")
    return OmegaConf.to_container(load_config(tmp_path / "child.yaml", overrides).loss.terms)


@pytest.mark.parametrize("child, overrides, expected", [
    ("", ["loss.terms.saliency={bce: 1}"], {"attention": {"bce": 1}, "saliency": {"bce": 1}}),
    ("", ["loss.terms.attention={iou: 1}"],
     {"attention": {"iou": 1}, "saliency": {"structure": 1, "iou": 2}}),
    ("loss: {terms: {attention: {iou: 1, target: edge}}}", [],
     {"attention": {"iou": 1, "target": "edge"}, "saliency": {"structure": 1, "iou": 2}}),
    ("loss: {terms: {attention: null, side: {bce: 3}}}", ["loss.terms={saliency: {bce: 1}}"],
     {"saliency": {"bce": 1}, "side": {"bce": 3}}),
    ("", ["loss.terms.saliency.structure=0.5", "loss.terms.saliency.dice=3"],
     {"attention": {"bce": 1}, "saliency": {"structure": 0.5, "iou": 2, "dice": 3}}),
    ("", ["loss.terms.attention=null"], {"saliency": {"structure": 1, "iou": 2}}),
    ("loss: {terms: {'*': null, edge: {bce: 1}}}", [], {"edge": {"bce": 1}}),
    ("loss: {terms: {}}", [], {}),
])
def test_an_entry_replaces_the_one_before_it(tmp_path, child, overrides, expected):
    after = terms_after(tmp_path, child, *overrides)
    assert after == expected
    assert list(after) == list(expected)  # in which the terms are added up


@pytest.mark.parametrize("child, override, message", [
    ("", "loss.terms.atention=null", "=null drops an output that has no loss; these have: att"),
    ("loss: {terms: {edge: null}}", "seed=1", r"child.yaml: loss\.terms\.edge=null drops"),
    ("loss: {terms: [bce]}", "seed=1", "is a mapping such as"),
])
def test_entries_that_replace_nothing_are_errors(tmp_path, child, override, message):
    with pytest.raises(UserError, match=message):
        terms_after(tmp_path, child, override)


@pytest.mark.parametrize("recipe, before", [
    ("cpd_vgg", "cpd"), ("cpd_resnet", "cpd"), ("demo", "cpd"), ("bgnet", "bgnet"),
    ("tracer_te0", "tracer"), ("tracer_te7", "tracer"), ("wssa", "wssa"), ("scwssod", "scwssod"),
    ("scwssod_vgg", "scwssod"),
])
def test_loss_names_of_before_mean_the_same(tmp_path, capsys, recipe, before):
    now = load_config(CONFIGS / f"{recipe}.yaml")
    old = OmegaConf.to_container(now)
    del old["loss"]["terms"]
    config = merge_config(old | {"loss": old["loss"] | {"name": before}}, origin="last.pt")
    assert config == now
    assert list(config.loss.terms) == list(now.loss.terms)
    (tmp_path / "trial.yaml").write_text(
        f"base: {CONFIGS / 'cpd_vgg.yaml'}\nmodel: {{name: {now.model.name}}}")
    after = load_config(tmp_path / "trial.yaml", [f"loss.name={before}"])
    assert after.loss.terms == now.loss.terms
    assert model.objective_of(after).targets == model.objective_of(now).targets


def test_an_output_that_the_network_lacks_stops_the_first_step(made_sets, runs, capsys):
    arguments = ["--config", str(CONFIGS / "demo.yaml"), "--gpu", "cpu", "data.train=[TINY-TR]",
                 f"data.root={made_sets}", "model.options.width=0.0625", "data.size=64"]
    assert train_script.main([*arguments, "loss.terms.edge={bce: 1}"]) == 2
    assert "no output 'edge'; its outputs are saliency, attention" in capsys.readouterr().err
    assert train_script.main([*arguments, "loss.terms.saliency={bce: 1, target: edge}"]) == 2
    assert "no edge: see data.target and data.edges" in capsys.readouterr().err


def test_a_run_of_before_goes_on_to_the_same_weights(made_sets, runs):
    """Its checkpoint names the loss cpd, and its log has a column for detection_bce."""
    cpd = ["model.name=cpd_vgg", "loss.terms.side3=null", "loss.terms.attention={bce: 1}"]
    assert train(made_sets, *cpd) == 0
    whole = weights(runs / "trial/last.pt")
    assert train(made_sets, *cpd, "--overwrite", "train.steps=2") == 0
    path, log = runs / "trial/last.pt", runs / "trial/log.csv"
    content = torch.load(path, weights_only=True)
    del content["config"]["loss"]["terms"]
    content["config"]["loss"]["name"] = "cpd"
    torch.save(content, path)
    before = log.read_text().replace("saliency_bce", "detection_bce")
    log.write_text(before)
    assert train(made_sets, *cpd, "--resume") == 0
    assert equal(whole, weights(path))
    with log.open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    assert [bool(row["detection_bce"]) for row in rows] == [True, True] + [False] * (len(rows) - 2)
    assert [bool(row["saliency_bce"]) for row in rows] == [False, False] + [True] * (len(rows) - 2)
