"""What the variants of the VGG classics change, and the recipes of the papers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import model
from model.dss import upsample
from model.picanet import LocalAttention
from utils.config import flat, load_config
from utils.errors import UserError
from utils.paths import CONFIGS, ROOT

PAPER = sorted(path.stem for path in (CONFIGS / "paper").glob("*.yaml"))


@pytest.mark.parametrize("name", PAPER)
def test_the_recipe_of_a_paper_differs_from_the_released_one_and_is_documented(name):
    released, paper = load_config(name), load_config(f"paper/{name}")
    assert (paper.name, paper.paper) == (f"{name}_paper", released.paper)
    assert paper.model.name == released.model.name
    before = flat(released)
    assert {key for key, value in flat(paper).items() if before.get(key) != value} > {"name"}
    assert model.objective_of(paper).targets
    if paper.model.options:
        with torch.device("meta"):
            model.from_recipe(paper)
    page = ROOT / "docs" / f"{model.network_class(name).__module__.split('.')[-1]}.md"
    assert f"paper/{name}" in page.read_text(encoding="utf-8")


def window_sums(attention: LocalAttention, x: torch.Tensor) -> torch.Tensor:
    """What local attention means, written with loops: (1, C, H, W) → the same shape."""
    weights = attention.conv2(attention.conv1(x)).softmax(dim=1)[0]
    padded, result = F.pad(x[0], (6, 6, 6, 6)), torch.zeros_like(x[0])
    for place in range(49):
        down, across = 2 * (place // 7), 2 * (place % 7)
        result += weights[place] * padded[:, down:down + x.shape[2], across:across + x.shape[3]]
    return result[None]


def test_local_attention_sums_the_window_of_each_pixel_unless_it_is_scrambled():
    torch.manual_seed(0)
    meant, scrambled = LocalAttention(2, scrambled=False), LocalAttention(2, scrambled=True)
    scrambled.load_state_dict(meant.state_dict())
    x = torch.randn(1, 2, 5, 7)
    with torch.no_grad():
        assert torch.allclose(meant(x), window_sums(meant, x), atol=1e-5)
        # As released: 49 values in a row of the tensors whose first dimension is the place.
        weights = meant.conv2(meant.conv1(x)).softmax(dim=1).flatten()
        windows = F.unfold(x, 7, 2, 6).reshape(2, -1)
        sums = (weights * windows).reshape(2, -1, 49).sum(dim=2)
        assert torch.allclose(scrambled(x).flatten(), sums.flatten(), atol=1e-5)


def test_picanets_variants_differ_in_attention_and_in_conv7():
    with torch.device("meta"):
        networks = {name: model.build("picanet_vgg", **options) for name, options in (
            ("released", {}), ("paper", {"variant": "paper"}), ("meant", {"scrambled": False}))}
    kernels = {name: network.conv7.kernel_size[0] for name, network in networks.items()}
    assert kernels == {"released": 3, "paper": 1, "meant": 3}
    assert {name: network.cells[2].attention.scrambled for name, network in networks.items()} == {
        "released": True, "paper": False, "meant": False}


@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_that_is_not_learned_is_bilinear(factor):
    layer, x = upsample(factor, learned=False), torch.rand(1, 1, 6, 5)
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear")
    inside = (..., slice(factor, -factor), slice(factor, -factor))  # the border blends with zeros
    assert torch.allclose(layer(x)[inside], expected[inside], atol=1e-6)
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    assert all(parameter.requires_grad for parameter in upsample(factor, learned=True).parameters())


def test_dss_predicts_a_mean_of_probabilities_or_a_weighted_sum_of_logits():
    network = model.build("dss_vgg", width=0.0625).eval()
    torch.nn.init.uniform_(network.fusion)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        mean, network.averaged = network(image), False
        outputs = network(image)
    middle = [outputs[f"side{level}"] for level in (1, 2, 3)]
    expected = torch.stack([*middle, outputs["fused"]]).sigmoid().mean(dim=0)
    assert torch.allclose(mean["saliency"].sigmoid(), expected, atol=1e-6)
    weights = network.fusion[1:4].tolist()
    assert torch.allclose(outputs["saliency"], sum(
        weight * logits for weight, logits in zip(weights, middle, strict=True)), atol=1e-6)
    with torch.device("meta"):
        assert not model.build("dss_vgg", variant="paper").averaged


def test_only_the_released_itsd_doubles_its_logits_and_only_in_evaluation():
    network, image = model.build("itsd_vgg").eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        released, network.doubled = network(image), False
        paper = network(image)
    assert torch.equal(released["saliency"], 2 * paper["saliency"])
    assert torch.equal(released["side0"], paper["side0"])
    with torch.device("meta"):
        assert not model.build("itsd_vgg", variant="paper").doubled


@pytest.mark.parametrize("name, wrong", [
    ("picanet_vgg", {"variant": "theirs"}), ("dss_vgg", {"averaged": 2}),
    ("itsd_vgg", {"doubled": "no"})])
def test_unknown_variants_and_switches_are_named(name, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))), torch.device("meta"):
        model.build(name, **wrong)
