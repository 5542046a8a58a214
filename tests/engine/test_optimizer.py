"""Optimizers, their groups of parameters, batch norms that keep still, and clipping."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import model
from engine.norm import train_mode
from engine.optimizer import add_l1, build_optimizer, clip_gradients
from engine.schedule import Schedule
from utils.config import default_config, load_config
from utils.errors import UserError
from utils.paths import CONFIGS
from utils.schema import OPTIMIZERS


def test_every_optimizer_that_the_configuration_allows_can_be_built():
    for name in OPTIMIZERS:
        config = default_config().optim
        config.name = name
        build_optimizer(config, nn.Linear(2, 2)).step()
    with pytest.raises(UserError, match=r"adma.*one of adam, adamw, sgd"):
        load_config(CONFIGS / "cpd_vgg.yaml", ["optim.name=adma"])


def one_step(**settings) -> torch.Tensor:
    """A parameter of value 1 after two steps with the gradient 0.5."""
    config = default_config().optim
    for key, value in {"lr": 0.1, **settings}.items():
        config[key] = value
    layer = nn.Linear(1, 1)
    nn.init.ones_(layer.weight)
    optimizer = build_optimizer(config, layer)
    for _ in range(2):
        layer.weight.grad, layer.bias.grad = torch.full((1, 1), 0.5), torch.zeros(1)
        optimizer.step()
    return layer.weight.detach()


def test_optimizers_follow_their_formulas():
    m, v, weight = 0.0, 0.0, 1.0
    for step in (1, 2):
        m, v = 0.9 * m + 0.1 * 0.5, 0.999 * v + 0.001 * 0.25
        weight -= 0.1 * (m / (1 - 0.9**step)) / (math.sqrt(v / (1 - 0.999**step)) + 1e-8)
    assert one_step(name="adam").item() == pytest.approx(weight, rel=1e-6)
    first = 1 * (1 - 0.1 * 0.01) - 0.1
    second = first * (1 - 0.1 * 0.01) - 0.1
    assert one_step(name="adamw", weight_decay=0.01).item() == pytest.approx(second, rel=1e-5)
    assert one_step(name="sgd", momentum=0.9).item() == pytest.approx(
        1 - 0.1 * 0.5 - 0.1 * (0.9 * 0.5 + 0.5))
    velocity = 0.9 * 0.5 + 0.5
    assert one_step(name="sgd", momentum=0.9, nesterov=True).item() == pytest.approx(
        1 - 0.1 * (0.5 + 0.9 * 0.5) - 0.1 * (0.5 + 0.9 * velocity))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_first_step_that_is_left_out_leaves_no_trace(name, monkeypatch):
    """As the large scale of fp16 makes it; what torch does not fill may hold anything."""
    empty_like = torch.empty_like
    monkeypatch.setattr(torch, "empty_like", lambda *args, **options: empty_like(
        *args, **options).fill_(float("nan")))
    config = default_config().optim
    config.name = name
    weights = []
    for gradients in ([math.inf, 0.5, 0.25], [0.5, 0.25]):
        layer = nn.Linear(1, 1, bias=False)
        nn.init.ones_(layer.weight)
        optimizer = build_optimizer(config, layer)
        scaler = torch.amp.GradScaler("cpu", init_scale=1.0, growth_interval=1000)
        for gradient in gradients:
            optimizer.zero_grad()
            scaler.scale(layer.weight.sum() * gradient).backward()
            scaler.step(optimizer)
            scaler.update()
        weights.append(layer.weight.item())
    assert weights[0] == pytest.approx(weights[1], rel=1e-6) and weights[0] < 1


def test_groups_the_trunk_learns_slower_and_norms_do_not_decay():
    network = model.build("cpd_vgg", width=0.0625)
    config = default_config().optim
    config.trunk_factor, config.decay_all, config.weight_decay = 0.1, False, 0.01
    config.freeze = ["trunk.conv1"]
    optimizer = build_optimizer(config, network)
    Schedule(config, optimizer, 10).set_rates(1, 1)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    rates = {names[id(parameter)]: (group["lr"], group["weight_decay"])
             for group in optimizer.param_groups for parameter in group["params"]}
    assert not any(name.startswith("trunk.conv1.") for name in rates)
    assert not network.trunk.conv1.conv1_1.weight.requires_grad
    assert rates["trunk.conv2.conv2_1.weight"] == pytest.approx((1e-5, 0.01))
    assert rates["attention.trunk.conv5.conv5_1.bias"] == pytest.approx((1e-5, 0.0))
    assert rates["attention.decoder.refine.weight"] == pytest.approx((1e-4, 0.01))
    config.freeze = ["trnk"]
    with pytest.raises(UserError, match="did you mean 'trunk'"):
        build_optimizer(config, network)
    config.freeze = [name for name, _ in network.named_children()]
    with pytest.raises(UserError, match=r"optim\.freeze=.* leaves nothing to train"):
        build_optimizer(config, network)


def test_what_a_pattern_names_does_not_decay():
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    config = default_config().optim
    config.weight_decay, config.no_decay, config.l1 = 0.01, ["1.w*"], 0.1
    decays = {parameter: group["weight_decay"]
              for group in build_optimizer(config, network).param_groups
              for parameter in group["params"]}
    assert [decays[parameter] for parameter in network.parameters()] == [0.01, 0.01, 0, 0.01]
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    add_l1(network, config)
    assert not network[1].weight.grad.any() and network[0].weight.grad.any()
    config.no_decay = ["2.*"]
    with pytest.raises(UserError, match=r"no_decay: no parameter fits '2\.\*'.*0\.weight"):
        build_optimizer(config, network)


def test_biases_may_have_a_rate_of_their_own_and_no_decay():
    config = default_config().optim
    config.weight_decay, config.bias_factor, config.decay_bias = 0.1, 2.0, False
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm2d(1))
    groups = {group["column"]: group for group in build_optimizer(config, network).param_groups}
    assert {name: (len(group["params"]), group["factor"], group["weight_decay"])
            for name, group in groups.items()} == {"lr": (2, 1, 0.1), "lr_bias": (2, 2, 0)}


@pytest.mark.parametrize("decay_all", [True, False])
def test_l1_adds_the_sign_of_the_weights_to_the_gradient(decay_all):
    config = default_config().optim
    config.l1, config.decay_all = 0.1, decay_all
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    x = torch.randn(4, 2, 5, 5)
    network(x).square().mean().backward()
    add_l1(network, config)
    given = [parameter.grad for parameter in network.parameters()]
    network.zero_grad(set_to_none=True)
    penalty = sum(parameter.abs().sum() for parameter in network.parameters()
                  if decay_all or parameter.ndim > 1)
    (network(x).square().mean() + 0.1 * penalty).backward()
    for mine, parameter in zip(given, network.parameters(), strict=True):
        assert torch.allclose(mine, parameter.grad, atol=1e-6)


def test_batch_norms_that_a_recipe_keeps_still():
    network = model.build("cpd_resnet")
    config = default_config().optim
    network.eval()
    train_mode(network, ["trunk"], ["attention"])
    norms = {name: module for name, module in network.named_modules()
             if isinstance(module, nn.BatchNorm2d)}
    groups = {"still": set(), "frozen": set(), "trained": set()}
    for name, norm in norms.items():
        group = "trained" if norm.training else \
            "still" if norm.weight.requires_grad else "frozen"
        groups[group].add(name.partition(".")[0])
    assert groups == {"still": {"trunk"}, "frozen": {"attention"}, "trained": {
        name.partition(".")[0] for name in norms} - {"trunk", "attention"}}
    assert network.training and network.trunk.training
    trained = {id(parameter) for group in build_optimizer(config, network).param_groups
               for parameter in group["params"]}
    assert not any(id(norm.weight) in trained for name, norm in norms.items()
                   if name.startswith("attention"))
    train_mode(network, ["all"], [])
    assert not any(norm.training for norm in norms.values())
    with pytest.raises(UserError, match=r"optim.eval_norm: no module is called 'trnk'.*trunk"):
        train_mode(network, ["trnk"], [])
    with pytest.raises(UserError, match="no batch norm in 'trunk'"):
        train_mode(model.build("cpd_vgg", width=0.0625), ["trunk"], [])


def test_clipping_clamps_elements_not_the_norm():
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([3.0, -0.2, -7.0])
    norm = clip_gradients([parameter], value=0.5)
    assert norm.item() == pytest.approx(math.sqrt(9 + 0.04 + 49))
    assert parameter.grad.tolist() == pytest.approx([0.5, -0.2, -0.5])
    clip_gradients([parameter], norm=0.1)
    assert parameter.grad.norm().item() == pytest.approx(0.1, rel=1e-4)
