"""What a training step is made of: precision, parts of a batch, memory, guards."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

import model
import train as train_script
from engine.guard import Guard
from engine.precision import Precision
from engine.run import Run
from engine.step import Parts
from utils.config import default_config, load_config
from utils.errors import UserError
from utils.paths import CONFIGS
from utils.schema import PRECISIONS
from utils.world import World

CPU = torch.device("cpu")


# --- precision ---------------------------------------------------------------------------------


def test_precision_is_chosen_for_the_device():
    assert Precision("auto", CPU).name in ("bf16", "fp32")
    assert Precision("fp32", CPU).layout is torch.contiguous_format
    assert Precision("bf16", CPU).layout is torch.channels_last
    assert Precision("auto", torch.device("cpu")).name in PRECISIONS
    with pytest.raises(UserError, match="fp16 is for GPUs"):
        Precision("fp16", CPU)
    with pytest.raises(UserError, match="did you mean 'bf16'"):
        load_config(CONFIGS / "cpd_vgg.yaml", ["train.precision=bf1"])


# --- steps -------------------------------------------------------------------------------------


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


class Batches(list):
    """Batches in place of a loader."""

    def set_epoch(self, epoch, start):
        assert (epoch, start) == (1, 0)


def made_batch(images=6):
    random = torch.Generator().manual_seed(0)
    return {"image": torch.randn(images, 3, 8, 8, generator=random), "name": ["x"] * images,
            "mask": torch.rand(images, 1, 8, 8, generator=random)}


@pytest.fixture
def take_step(tmp_path, monkeypatch):
    """A function that takes train.py's step on a batch, and gives its result."""
    results = []
    monkeypatch.setattr(train_script, "watch", lambda run, log, sample, result:
                        results.append(result))

    def take(network, sample, objective=toy_objective, **settings):
        config = default_config()
        config.train.epochs, config.optim.name, config.optim.lr = 1, "sgd", 0.1
        for key, value in settings.items():
            config.train[key] = value
        precision = Precision(settings.get("precision", "fp32"), CPU)
        run = Run(config, precision.place(network), objective, Batches([sample]), tmp_path,
                  precision)
        assert train_script.train(run, []) == 0
        return results.pop(), run
    return take


@pytest.mark.parametrize("parts", [2, 4, 6, 9])
def test_a_batch_in_parts_takes_the_same_step(take_step, parts):
    whole, divided = Toy(), Toy()
    divided.load_state_dict(whole.state_dict())
    expected, _ = take_step(whole, made_batch())
    result, _ = take_step(divided, made_batch(), accumulate=parts)
    assert result.loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    assert result.terms["twice"].item() == pytest.approx(2 * result.terms["square"].item())
    assert result.norm.item() == pytest.approx(expected.norm.item(), rel=1e-5)
    assert torch.allclose(whole.conv.weight, divided.conv.weight, atol=1e-7)


def sizes_of(parts: Parts, images: int, **more) -> list[int]:
    return [len(part.sample["name"]) for part in parts(made_batch(images) | more)]


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5])
def test_parts_of_a_batch_are_as_many_in_all_processes(parts):
    """Of five and of four images, which two processes have of nine."""
    config = default_config().train
    config.accumulate = parts
    sizes = [sizes_of(Parts(Toy(), config, World(0, 2)), images, share=images * 2 / 9)
             for images in (5, 4)]
    assert [sum(of_process) for of_process in sizes] == [5, 4]
    assert len(sizes[0]) == len(sizes[1]) <= parts


@pytest.mark.parametrize("images, parts", [(9, 8), (3, 2), (2, 2), (9, 16), (5, 3)])
def test_no_part_of_a_batch_is_too_small_for_batch_norm(images, parts):
    config = default_config().train
    config.accumulate = parts
    plain = nn.Conv2d(3, 1, 1)
    sizes = sizes_of(Parts(nn.Sequential(plain, nn.BatchNorm2d(1)), config), images)
    assert min(sizes) >= 2 and sum(sizes) == images
    most = -(-images // -(-images // parts))
    assert len(sizes_of(Parts(plain, config), images)) == most
    evaluated = nn.Sequential(plain, nn.BatchNorm2d(1).eval())  # takes no statistics of the batch
    assert len(sizes_of(Parts(evaluated, config), images)) == most


def test_norms_that_keep_still_let_parts_hold_one_image():
    config = default_config().train
    config.accumulate = 3
    norm = nn.BatchNorm2d(3)
    assert sizes_of(Parts(norm, config), 3) == [3]
    assert sizes_of(Parts(norm.eval(), config), 3) == [1, 1, 1]


def test_images_of_different_sizes_take_the_step_of_their_mean_loss(take_step):
    """Each goes through the network alone, whatever the parts and the norms."""
    network, exact, sample, shapes = Toy(), Toy(), made_batch(3), []
    exact.load_state_dict(network.state_dict())
    network.norm = nn.BatchNorm2d(1)  # never run; it would want two images in a part
    for key in ("image", "mask"):
        sample[key] = [values[None, :, :8 - n] for n, values in enumerate(sample[key])]

    def objective(network, part):
        shapes.append((part["image"].shape, part["mask"].shape, len(part["name"])))
        return toy_objective(network, part)

    result, _ = take_step(network, sample, objective)
    assert shapes == [((1, 3, 8 - n, 8), (1, 1, 8 - n, 8), 1) for n in range(3)]
    mean = sum(sum(toy_objective(exact, {"image": image, "mask": mask})[1].values())
               for image, mask in zip(sample["image"], sample["mask"], strict=True)) / 3
    mean.backward()
    assert result.loss.item() == pytest.approx(mean.item(), rel=1e-6)
    assert torch.allclose(network.conv.weight, exact.conv.weight - 0.1 * exact.conv.weight.grad,
                          atol=1e-7)
    # What is shown and looked at is the part that the outputs are of.
    assert result.outputs["saliency"].shape == result.sample["mask"].shape == (1, 1, 6, 8)


def test_bf16_takes_nearly_the_same_step_and_keeps_weights_in_float32(take_step):
    exact, mixed = Toy(), Toy()
    mixed.load_state_dict(exact.state_dict())
    expected, _ = take_step(exact, made_batch())
    result, _ = take_step(mixed, made_batch(), precision="bf16")
    assert result.outputs["saliency"].dtype is torch.bfloat16
    assert mixed.conv.weight.dtype is torch.float32
    assert result.loss.item() == pytest.approx(expected.loss.item(), rel=0.02)
    assert torch.allclose(exact.conv.weight, mixed.conv.weight, atol=5e-3)


def test_a_step_that_is_not_finite_changes_nothing(take_step):
    for poison in ("loss", "gradient"):
        network, sample = Toy(), made_batch()
        before = copy.deepcopy(network.state_dict())
        if poison == "loss":
            sample["image"][2, 0, 0, 0] = float("nan")
        else:  # finite going forward
            network.conv.weight.register_hook(lambda gradient: gradient * float("inf"))
        result, _ = take_step(network, sample)
        assert math.isfinite(result.loss.item()) == (poison == "gradient")
        assert not math.isfinite(result.norm.item())
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_out_of_memory_names_what_to_lower(take_step):
    def greedy(network, sample):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(UserError, match=r"6 images in 1 part.*\n.*train.accumulate=2"):
        take_step(Toy(), made_batch(), greedy)

    def broken(network, sample):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        take_step(Toy(), made_batch(), broken, on_oom="split")


def test_a_batch_is_split_until_it_fits_in_memory(take_step, capsys):
    """Memory runs out in the second part of three, when the first one has its gradients."""
    network, exact, sizes = Toy(), Toy(), []
    exact.load_state_dict(network.state_dict())

    def greedy(network, sample):
        sizes.append(len(sample["name"]))
        if sizes[-1] > 1 and len(sizes) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return toy_objective(network, sample)

    result, run = take_step(network, made_batch(), greedy, on_oom="split", accumulate=3)
    assert sizes == [2, 2] + [1] * 6
    assert run.parts.count == 6
    assert "split into 6 parts" in capsys.readouterr().err
    expected, _ = take_step(exact, made_batch())
    assert result.loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    assert torch.allclose(network.conv.weight, exact.conv.weight, atol=1e-7)


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
    error = capsys.readouterr().err
    assert error.count("the network has collapsed") == 2
    assert "at step 2 the prediction is 0.0000 everywhere" in error
    fresh = Guard(0)
    fresh.look_at(1, torch.zeros(2, 1, 4, 4))
    assert capsys.readouterr().err == ""
    fresh.look_at(2, flat)
    fresh.look_at(3, alive)
    fresh.look_at(4, torch.zeros(2, 1, 4, 4))
    error = capsys.readouterr().err
    assert "step 2 the prediction is 0.0000" in error
    assert "step 4 the prediction is 0.5000" in error
