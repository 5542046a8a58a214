"""Reading weights: by name, strictly, safely."""

from __future__ import annotations

import hashlib
import urllib.error
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import model
from utils import weights
from utils.config import default_config
from utils.errors import UserError


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return model.build("cpd_vgg", width=0.125)


def vgg_features(dtype=torch.float32, width: float = 1.0) -> dict[str, torch.Tensor]:
    """A file such as torchvision's VGG-16: random trunk, and a classifier."""
    trunk = model.trunks.vgg.VGG16(width=width)
    keys, own = trunk.imagenet_keys(), trunk.state_dict()
    state = {theirs: torch.randn(own[ours].shape).to(dtype) for ours, theirs in keys.items()}
    return state | {"classifier.0.weight": torch.zeros(8, 8, dtype=dtype)}


def test_weights_whose_norms_an_export_merged_are_for_testing(tmp_path, capsys):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    config = default_config().weights
    config.network = str(tmp_path / "merged.pth")
    network.released_key, network.never_run = str, ()
    for variance, bias, printed in ((1 - 1e-5, 0.0, True), (1 - 1e-5, 0.1, False),
                                    (0.5, 0.0, False)):
        state = network.state_dict() | {"1.running_var": torch.full((4,), variance),
                                        "1.bias": torch.full((4,), bias)}
        torch.save(state, config.network)
        weights.initialise(network, config)
        assert ("good for testing alone" in capsys.readouterr().err) == printed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_backbone_is_matched_by_name_not_by_position(tmp_path, dtype):
    state = vgg_features(dtype)
    backwards = dict(reversed(state.items()))
    torch.save(backwards, tmp_path / "vgg.pth")
    network = model.build("cpd_vgg")
    report = weights.load_backbone(network, str(tmp_path / "vgg.pth"))
    assert "26 tensors" in report
    assert "1 tensors not needed" in report
    ours = network.state_dict()
    expected = {"trunk.conv1.conv1_1": "features.0", "attention.trunk.conv4.conv4_1": "features.17",
                "detection.trunk.conv4.conv4_1": "features.17",
                "detection.trunk.conv5.conv5_3": "features.28"}
    for key, theirs in expected.items():
        for kind in ("weight", "bias"):
            assert torch.equal(ours[f"{key}.{kind}"], state[f"{theirs}.{kind}"].float())


def test_resnet_backbone_fills_both_branches(tmp_path):
    import torchvision

    state = torchvision.models.resnet50().state_dict()
    torch.save(state, tmp_path / "resnet50.pth")
    network = model.build("cpd_resnet")
    weights.load_backbone(network, str(tmp_path / "resnet50.pth"))
    ours = network.state_dict()
    for key in ("attention.trunk", "detection.trunk"):
        assert torch.equal(ours[f"{key}.layer4.2.conv3.weight"], state["layer4.2.conv3.weight"])
    assert torch.equal(ours["trunk.stem.conv1.weight"], state["conv1.weight"])


def test_real_vgg_weights_load(shared):
    network = model.build("cpd_vgg")
    report = weights.load_backbone(network,
                                   str(shared / "data/vgg16_imagenet_features_fp16.pth"))
    assert "26 tensors" in report
    assert network.trunk.conv1.conv1_1.weight.dtype == torch.float32


def test_backbone_files_that_do_not_fit_are_listed(tmp_path):
    state = vgg_features()
    del state["features.28.bias"]
    state["features.99.weight"] = torch.zeros(1)
    state["features.0.weight"] = torch.zeros(64, 1, 3, 3)
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.raises(UserError) as error:
        weights.load_backbone(model.build("cpd_vgg"), str(tmp_path / "vgg.pth"))
    for part in ("missing: features.28.bias", "unexpected: features.99.weight",
                 "shape of features.0.weight"):
        assert part in str(error.value)


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}])
def test_own_weights_load_with_and_without_module(small, prefix, wrap):
    state = {f"{prefix}{key}": value + 1 for key, value in small.state_dict().items()}
    network = model.build("cpd_vgg", width=0.125)
    weights.load_weights(network, wrap(state))
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[f"{prefix}{key}"])


def test_a_wrong_checkpoint_lists_keys_and_leaves_the_network_alone(small):
    before = {key: value.clone() for key, value in small.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    state.pop("holistic_attention.kernel")
    state["surplus"] = torch.zeros(1)
    with pytest.raises(UserError) as error:
        weights.load_weights(small, state)
    assert "missing: holistic_attention.kernel (1, 1, 31, 31)" in str(error.value)
    assert "unexpected: surplus (1,)" in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in small.state_dict().items())


@pytest.mark.parametrize("content, reason", [(b"", "0 bytes"), (None, "file not found")])
def test_damaged_files_are_named(tmp_path, small, content, reason):
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        weights.load_weights(small, path)
    assert str(path) in str(error.value)


def test_files_of_others_load_and_say_what_was_unwrapped(tmp_path, small, capsys):
    """Through the file, with all that is peculiar to it at once."""
    state = {f"module.{key}": value + 1 for key, value in small.state_dict().items()}
    path = tmp_path / "weights.pth"
    torch.save({"params_ema": state | {"module.total_ops": torch.zeros(1)}, "epoch": 3,
                "best": np.float64(0.1)}, path)
    network = model.build("cpd_vgg", width=0.125)
    weights.load_weights(network, path)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[f"module.{key}"])
    assert (f"note: {path}: weights under params_ema, prefix module. removed, 1 counters total_ops "
            "left out") in capsys.readouterr().err


def test_a_wrong_file_with_a_prefix_says_how_it_was_read(small):
    state = {f"module.{key}": value for key, value in small.state_dict().items()}
    state["module.surplus"] = torch.zeros(1)
    with pytest.raises(UserError, match=r"\(weights under net, prefix module\. removed\) does not "
                       "fit the network: 0 tensors missing, 1 unexpected, 0 of another"):
        weights.load_weights(small, {"net": state})


KEY = "trunk.conv1.conv1_1.weight"


def quantised(tensor: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to drop it
        return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


@pytest.mark.parametrize("spoil, reason", [
    (lambda value: value.to_sparse(), "sparse"),
    (quantised, "quantised"),
    (lambda value: value.to("meta"), "no values"),
    (lambda value: value.to(torch.complex64), "complex64"),
    (lambda value: value.to(torch.uint8), "uint8"),
    (lambda value: value.bool(), "bool"),
    (lambda value: value.index_fill(0, torch.tensor(0), torch.nan), "NaN or infinite"),
    (lambda value: value.index_fill(0, torch.tensor(0), torch.inf), "NaN or infinite"),
    (lambda value: value.double() + 1e300, "do not fit into float32"),
])
@pytest.mark.parametrize("partial", [False, True])
def test_tensors_that_are_no_weights_are_named_by_key(tmp_path, small, spoil, reason, partial):
    before = {key: value.clone() for key, value in small.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    state[KEY] = spoil(state[KEY])
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=f"(?s)weights.pth holds .*{KEY}: .*{reason}"):
        weights.load_weights(small, tmp_path / "weights.pth", partial=partial)
    assert all(torch.equal(value, before[key]) for key, value in small.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64,
                                   torch.float8_e5m2])
def test_weights_of_other_precision_are_converted(small, dtype):
    state = {key: value.to(dtype) for key, value in small.state_dict().items()}
    network = model.build("cpd_vgg", width=0.125)
    weights.load_weights(network, state)
    assert all(torch.equal(value, state[key].to(value.dtype))
               for key, value in network.state_dict().items())


def test_counters_saved_in_half_precision_are_whole_numbers_or_refused():
    network = model.build("tracer_vgg", width=0.0625)
    state = {key: value.half() for key, value in network.state_dict().items()}
    weights.load_weights(network, state)
    counter = next(key for key in state if key.endswith("num_batches_tracked"))
    for value, reason in ((0.5, "fractions"), (torch.inf, "NaN or infinite")):
        with pytest.raises(UserError, match=f"(?s){counter}: .*{reason}"):
            weights.load_weights(network, state | {counter: torch.tensor(value)})


def test_partial_loads_what_fits_and_lists_the_rest(small, capsys):
    state = {key: value + 1 for key, value in small.state_dict().items()}
    state["surplus"] = torch.zeros(1)
    state[KEY] = torch.zeros(64, 3, 5, 5)
    del state["holistic_attention.kernel"]
    kept = small.state_dict()["holistic_attention.kernel"]
    network = model.build("cpd_vgg", width=0.125)
    first = network.state_dict()[KEY].clone()
    with pytest.raises(UserError, match=r"weights\.partial=true loads"):
        weights.load_weights(network, state)
    weights.load_weights(network, state, partial=True)
    for key, value in network.state_dict().items():
        expected = {KEY: first, "holistic_attention.kernel": kept}.get(key, state.get(key))
        assert torch.equal(value, expected), key
    printed = capsys.readouterr().err
    for part in ("1 tensors missing, 1 unexpected, 1 of another shape", "missing: holistic",
                 "unexpected: surplus", f"shape of {KEY}"):
        assert part in printed


def test_partial_refuses_a_file_of_which_nothing_fits(small):
    with pytest.raises(UserError, match="does not fit the network") as error:
        weights.load_weights(small, {"x": torch.zeros(1)}, partial=True)
    assert "weights.partial" not in str(error.value)


@pytest.mark.parametrize("wrap", [
    lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    lambda state: {f"backbone.{key}": value for key, value in state.items()},
    lambda state: {key.removeprefix("features."): value for key, value in state.items()
                   if key.startswith("features.")},
])
def test_backbones_are_unwrapped_like_whole_networks(tmp_path, wrap):
    state = vgg_features(width=0.125)
    torch.save(wrap(state), tmp_path / "vgg.pth")
    network = model.build("cpd_vgg", width=0.125)
    assert "26 tensors" in weights.load_backbone(network, str(tmp_path / "vgg.pth"))
    assert torch.equal(network.trunk.conv1.conv1_1.weight, state["features.0.weight"])


def test_keys_that_are_no_text_are_listed(tmp_path, small):
    torch.save({0: torch.zeros(2), "a": torch.zeros(1)}, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=r"unexpected: 0 \(2,\)"):
        weights.load_weights(small, tmp_path / "odd.pth")


def test_a_failing_download_says_url_file_and_folder(monkeypatch, runs, tmp_path):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with pytest.raises(UserError) as error:
        weights.load_backbone(model.build("cpd_vgg"))
    for part in ("https://", "vgg16-397923af.pth", str(runs), "weights.backbone=none"):
        assert part in str(error.value)


@pytest.mark.parametrize("intact", [True, False])
def test_a_download_whose_hash_is_not_that_of_its_name_is_refused(monkeypatch, runs, tmp_path,
                                                                  intact):
    content = b"weights"
    digits = hashlib.sha256(content).hexdigest()[:8]
    site, hub = tmp_path / f"net-{digits}.pth", tmp_path / "hub"
    site.write_bytes(content if intact else b"weighty")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    if intact:
        assert weights._imagenet_file(site.as_uri()).read_bytes() == content
        return
    with pytest.raises(UserError) as error:
        weights._imagenet_file(site.as_uri())
    for part in (f'expected "{digits}"', site.as_uri(), site.name, str(runs)):
        assert part in str(error.value)
    assert list((hub / "checkpoints").iterdir()) == []


def test_a_file_put_by_hand_is_found_before_any_download(monkeypatch, runs):
    monkeypatch.setattr(torch.hub, "download_url_to_file",
                        lambda *a, **k: pytest.fail("downloaded"))
    torch.save(vgg_features(), runs / "vgg16-397923af.pth")
    assert "vgg16-397923af.pth" in weights.load_backbone(model.build("cpd_vgg"))


def test_training_from_scratch_is_reported():
    assert "from scratch" in weights.load_backbone(model.build("cpd_vgg", width=0.125), "none")
