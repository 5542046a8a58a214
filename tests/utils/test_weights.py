"""Reading weights: by name, strictly, safely."""

from __future__ import annotations

import hashlib
import urllib.error

import pytest
import torch
from torch import nn

import model
from utils import weights
from utils.errors import UserError


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return model.build("cpd_vgg", width=0.125)


def vgg_features(dtype=torch.float32) -> dict[str, torch.Tensor]:
    """A file such as torchvision's VGG-16: random trunk, and a classifier."""
    keys = model.trunks.vgg.VGG16().imagenet_keys()
    own = model.trunks.vgg.VGG16().state_dict()
    state = {theirs: torch.randn(own[ours].shape).to(dtype) for ours, theirs in keys.items()}
    return state | {"classifier.0.weight": torch.zeros(8, 8, dtype=dtype)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_backbone_is_matched_by_name_not_by_position(tmp_path, dtype):
    state = vgg_features(dtype)
    backwards = dict(reversed(state.items()))
    torch.save(backwards, tmp_path / "vgg.pth")
    network = model.build("cpd_vgg")
    report = weights.load_backbone(network, str(tmp_path / "vgg.pth"))
    assert "26 tensors" in report
    assert "1 classifier tensors not needed" in report
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


@pytest.mark.parametrize("content, reason", [
    (b"", "0 bytes"), (b"<html>quota exceeded</html>", "cannot read"), (None, "file not found")])
def test_damaged_files_are_named(tmp_path, small, content, reason):
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        weights.load_weights(small, path)
    assert str(path) in str(error.value)


def test_truncated_weights_are_refused(tmp_path, small):
    path = tmp_path / "weights.pth"
    torch.save(small.state_dict(), path)
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(UserError, match="cannot read"):
        weights.load_weights(small, path)


def test_a_pickled_network_is_not_executed(tmp_path, small):
    torch.save(small, tmp_path / "network.pth")
    with pytest.raises(UserError, match="state_dict") as error:
        weights.load_weights(small, tmp_path / "network.pth")
    assert "\x1b" not in str(error.value)


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
