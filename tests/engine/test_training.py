"""What a training step is made of: precision, optimizers, schedules, clipping, guards, memory."""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn

import model
from engine.guard import Guard
from engine.norm import Mode
from engine.optimizer import Schedule, add_l1, build_optimizer, clip_gradients
from engine.precision import Precision
from engine.step import Step
from utils.config import default_config, load_config
from utils.errors import UserError
from utils.paths import CONFIGS
from utils.schema import OPTIMIZERS, PRECISIONS
from utils.world import World

CPU = torch.device("cpu")


# --- optimizers --------------------------------------------------------------------------------


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


def test_groups_the_trunk_learns_slower_and_norms_do_not_decay():
    network = model.build("cpd_vgg", width=0.0625)
    config = default_config().optim
    config.trunk_factor, config.decay_all, config.weight_decay = 0.1, False, 0.01
    config.freeze = ["trunk.conv1"]
    optimizer = build_optimizer(config, network)
    Schedule(config, optimizer, 10).start_step(1, 1)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {names[id(parameter)]: (group["lr"], group["weight_decay"])
             for group in optimizer.param_groups for parameter in group["params"]}
    assert not any(name.startswith("trunk.conv1.") for name in found)
    assert not network.trunk.conv1.conv1_1.weight.requires_grad
    assert found["trunk.conv2.conv2_1.weight"] == pytest.approx((1e-5, 0.01))
    assert found["attention.trunk.conv5.conv5_1.bias"] == pytest.approx((1e-5, 0.0))
    assert found["attention.decoder.refine.weight"] == pytest.approx((1e-4, 0.01))
    config.freeze = ["trnk"]
    with pytest.raises(UserError, match="did you mean 'trunk'"):
        build_optimizer(config, network)


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
    mode = Mode(network, ["trunk"], ["attention"])
    network.eval()
    mode.train()
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
    everything = Mode(network, ["all"], [])
    everything.train()
    assert not any(norm.training for norm in norms.values())
    with pytest.raises(UserError, match=r"optim.eval_norm: no module is called 'trnk'.*trunk"):
        Mode(network, ["trnk"], [])
    with pytest.raises(UserError, match="no batch norm in 'trunk'"):
        Mode(model.build("cpd_vgg", width=0.0625), ["trunk"], [])


def test_clipping_clamps_elements_not_the_norm():
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([3.0, -0.2, -7.0])
    norm = clip_gradients([parameter], value=0.5)
    assert norm.item() == pytest.approx(math.sqrt(9 + 0.04 + 49))
    assert parameter.grad.tolist() == pytest.approx([0.5, -0.2, -0.5])
    clip_gradients([parameter], norm=0.1)
    assert parameter.grad.norm().item() == pytest.approx(0.1, rel=1e-4)


# --- precision ---------------------------------------------------------------------------------


def test_precision_is_chosen_for_the_device():
    assert Precision("auto", CPU).name in ("bf16", "fp32")
    assert Precision("fp32", CPU).layout is torch.contiguous_format
    assert Precision("bf16", CPU).layout is torch.channels_last
    assert Precision("auto", torch.device("cpu")).name in PRECISIONS
    with pytest.raises(UserError, match="fp16 is for GPUs"):
        Precision("fp16", CPU)
    with pytest.raises(UserError, match="did you mean 'bf16'"):
        Precision("bf1", CPU)


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, image):
        return {"saliency": self.conv(image)}


def toy_objective(network, sample):
    outputs = network(sample["image"])
    error = (outputs["saliency"].float() - sample["mask"]).square()
    return outputs, {"square": error.mean(), "twice": 2 * error.mean()}


def toy_step(network, batch=6, objective=toy_objective, **settings):
    """A step on a batch, and a function that takes it."""
    config = default_config()
    config.optim.name, config.optim.lr = "sgd", 0.1
    for key, value in settings.items():
        config.train[key] = value
    precision = Precision(settings.get("precision", "fp32"), CPU)
    network = precision.place(network)
    step = Step(network, objective, build_optimizer(config.optim, network), precision, config)
    random = torch.Generator().manual_seed(0)
    sample = {"image": torch.randn(batch, 3, 8, 8, generator=random), "name": ["x"] * batch,
              "mask": torch.rand(batch, 1, 8, 8, generator=random)}
    return step, precision.batch(sample)


@pytest.mark.parametrize("parts", [2, 4, 6, 9])
def test_a_batch_in_parts_takes_the_same_step(parts):
    whole, divided = Toy(), Toy()
    divided.load_state_dict(whole.state_dict())
    (one, sample), (other, _) = toy_step(whole), toy_step(divided, accumulate=parts)
    a, b = one(sample), other(sample)
    assert b.loss.item() == pytest.approx(a.loss.item(), rel=1e-6)
    assert b.terms["twice"].item() == pytest.approx(2 * b.terms["square"].item())
    assert b.norm.item() == pytest.approx(a.norm.item(), rel=1e-5)
    assert torch.allclose(whole.conv.weight, divided.conv.weight, atol=1e-7)


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5])
def test_parts_of_a_batch_are_as_many_in_all_processes(parts):
    """Of five and of four images, which two processes have of nine."""
    counts = []
    for images in (5, 4):
        calls = []

        def counting(network, sample, calls=calls):
            calls.append(len(sample["name"]))
            return toy_objective(network, sample)

        step, sample = toy_step(Toy(), images, counting, accumulate=parts)
        step.world = World(0, 2)
        step.world.mean = lambda values: values  # there is no other process
        step.network.no_sync = nullcontext
        step(sample | {"share": images * 2 / 9})
        assert sum(calls) == images
        counts.append(len(calls))
    assert counts[0] == counts[1] <= parts


@pytest.mark.parametrize("images, parts", [(9, 8), (3, 2), (2, 2), (9, 16), (5, 3)])
def test_no_part_of_a_batch_is_too_small_for_batch_norm(images, parts):
    config = default_config()
    config.train.accumulate = parts
    sizes = []

    class Counting(nn.Sequential):
        def forward(self, image):
            sizes.append(len(image))
            return {"saliency": super().forward(image)}

    def steps(*layers):
        sizes.clear()
        network = Counting(*layers)
        step = Step(network, lambda net, sample: (
            outputs := net(sample["image"]), {"mean": outputs["saliency"].mean()}),
            build_optimizer(config.optim, network), Precision("fp32", torch.device("cpu")), config)
        step({"image": torch.randn(images, 3, 4, 4), "name": ["x"] * images})
        return list(sizes)

    assert min(steps(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1))) >= 2
    assert sum(sizes) == images
    assert len(steps(nn.Conv2d(3, 1, 1))) == -(-images // -(-images // parts))


def test_bf16_takes_nearly_the_same_step_and_keeps_weights_in_float32():
    exact, mixed = Toy(), Toy()
    mixed.load_state_dict(exact.state_dict())
    (one, sample), (other, _) = toy_step(exact), toy_step(mixed, precision="bf16")
    a, b = one(sample), other(sample)
    assert b.outputs["saliency"].dtype is torch.bfloat16
    assert mixed.conv.weight.dtype is torch.float32
    assert b.loss.item() == pytest.approx(a.loss.item(), rel=0.02)
    assert torch.allclose(exact.conv.weight, mixed.conv.weight, atol=5e-3)


def test_a_step_that_is_not_finite_changes_nothing():
    for poison in ("loss", "gradient"):
        network = Toy()
        before = copy.deepcopy(network.state_dict())
        step, sample = toy_step(network)
        if poison == "loss":
            sample["image"][2, 0, 0, 0] = float("nan")
        else:  # finite going forward
            network.conv.weight.register_hook(lambda gradient: gradient * float("inf"))
        done = step(sample)
        assert math.isfinite(done.loss.item()) == (poison == "gradient")
        assert not math.isfinite(done.norm.item())
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_out_of_memory_says_what_to_lower_or_splits_the_batch(capsys):
    def greedy(network, sample):
        if len(sample["name"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return toy_objective(network, sample)

    step, sample = toy_step(Toy(), objective=greedy)
    with pytest.raises(UserError, match=r"6 images in 1 part.*\n.*train.accumulate=2"):
        step(sample)
    network, exact = Toy(), Toy()
    exact.load_state_dict(network.state_dict())
    step, sample = toy_step(network, objective=greedy, on_oom="split")
    step(sample)
    assert step.parts == 4
    assert "split into 4 parts" in capsys.readouterr().err
    plain, _ = toy_step(exact)
    plain(sample)
    assert torch.allclose(network.conv.weight, exact.conv.weight, atol=1e-7)

    def broken(network, sample):
        raise RuntimeError("shapes differ")
    step, sample = toy_step(Toy(), objective=broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        step(sample)


@pytest.mark.parametrize("name, options", [("cpd_vgg", {"width": 0.125}), ("cpd_resnet", {})])
def test_recomputing_the_trunk_changes_nothing(name, options):
    """Not the gradients, and not the batch norms' statistics, which see the batch twice."""
    torch.manual_seed(0)
    kept = model.build(name, **options).train()
    again = copy.deepcopy(kept)
    for module in again.modules():
        if hasattr(module, "recompute"):
            module.recompute = True
    image = torch.randn(2, 3, 64, 64)
    for network in (kept, again):
        network(image)["saliency"].square().mean().backward()
    for (key, a), b in zip(kept.named_parameters(), again.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), key
        if a.grad is not None:
            assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-7), key
    for (key, a), b in zip(kept.named_buffers(), again.buffers(), strict=True):
        assert torch.equal(a, b), key


# --- guards ------------------------------------------------------------------------------------


def test_the_guard_counts_steps_left_out_and_names_their_images(capsys):
    guard = Guard(budget=1)
    ok, nan, infinite = torch.tensor(0.5), torch.tensor(float("nan")), torch.tensor(float("inf"))
    guard.add(1, ["a"], ok, ok)
    guard.add(2, ["b", "c"], ok, infinite)
    assert guard.check() == [0.5]
    assert "the gradient is not finite at step 2, on the images b, c" in capsys.readouterr().err
    guard.add(3, ["d"], nan, nan)
    with pytest.raises(UserError, match="the loss is nan at step 3, on the images d"):
        guard.check()


def test_a_constant_prediction_is_said_once(capsys):
    guard = Guard(0)
    flat, alive = torch.full((2, 1, 4, 4), -30.0), torch.randn(2, 1, 4, 4)
    for step, logits in enumerate((alive, flat, flat, alive, flat), start=1):
        guard.look_at(step, logits)
    said = capsys.readouterr().err
    assert said.count("the network has collapsed") == 2
    assert "at step 2 the prediction is 0.0000 everywhere" in said
    fresh = Guard(0)
    fresh.look_at(1, torch.zeros(2, 1, 4, 4))
    assert capsys.readouterr().err == ""
    fresh.look_at(2, flat)
    fresh.look_at(3, alive)
    fresh.look_at(4, torch.zeros(2, 1, 4, 4))
    said = capsys.readouterr().err
    assert "step 2 the prediction is 0.0000" in said
    assert "step 4 the prediction is 0.5000" in said
