"""What a recipe's network costs, before anything is trained.

    python -m engine summary --config u2net
    python -m engine summary --config cpd_vgg train.batch=32 data.size=288 train.precision=bf16

Of each part: the shape that it gives for one image, its parameters, multiply–adds, and activations
(the values that its convolutions and matrix products give). Then the memory that a training step
takes on a device. Nothing is computed: torch passes shapes through the network.
"""

from __future__ import annotations

import argparse
import sys

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import model
from data.loader import training_sizes
from utils.cli import parse_with_overrides
from utils.config import load_config
from utils.errors import UserError, counted, reports_errors
from utils.option import NATIVE

from .norm import enough_values, train_mode
from .precision import Precision
from .summary import print_costs, step_memory

NATIVE_SIZE = (300, 400)  # height and width of most images of the published sets


@reports_errors
def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words[:1] not in (["summary"], ["-h"], ["--help"]):
        raise UserError("python -m engine summary --config RECIPE; see --help")
    parser = argparse.ArgumentParser(prog="python -m engine summary", description=__doc__)
    parser.add_argument("--config", metavar="RECIPE", default="cpd_vgg",
                        help="a file, or a name in configs/ (default: cpd_vgg)")
    args = parse_with_overrides(parser, words[words[:1] == ["summary"]:])
    config = load_config(args.config, args.overrides)
    size = NATIVE_SIZE if config.data.size == NATIVE else \
        max(training_sizes(config.data.size, config.data.scales))
    # 16 bits take the same memory of either kind; this machine need not compute in them.
    half = {"fp16": "bf16"}.get(config.train.precision, config.train.precision)
    precision = Precision(half, torch.device("cpu"))
    kind = model.network_class(config.model.name)
    kind.require_size(*size)
    for name, value in kind.in_torch.items():
        if model.options_of(config).get(name) != value:
            config.model.options[name] = value
            print(f"note: counted with model.options.{name}={value}, by which torch computes all",
                  file=sys.stderr)
    with FakeTensorMode():
        network = model.from_recipe(config)
        print_costs(network, size)
        images = 1 if config.data.size == NATIVE else -(-config.train.batch
                                                        // config.train.accumulate)
        train_mode(network, config.optim.eval_norm, config.optim.frozen_norm)
        with enough_values(config.train.batch, config.train.accumulate):
            memory = step_memory(network, size, images, precision, config.optim.name)
    parts = ", ".join(f"{part} {number / 2**20:.0f} MiB" for part, number in memory.items())
    named = precision.name if half == config.train.precision else config.train.precision
    print(f"a training step on {counted(images, 'image')} in {named}, by {config.optim.name}: at "
          f"least {sum(memory.values()) / 2**30:.2f} GiB ({parts}), beside the loss, what the "
          "kernels need, and torch itself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
