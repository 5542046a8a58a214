"""Watches over the steps of a run without making the device wait for the host."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from utils.errors import UserError
from utils.world import World

CONSTANT = 1e-3  # predictions whose values span less than this have collapsed


class Guard:
    """Collects what steps leave behind, and looks at it when it is asked to.

    The gradient scaler has left out a step whose loss or gradient is not finite on the device
    already; the guard counts it against ``budget`` and prints it with its images.

    Args:
        advice: gives the sentences that end the error, on where to go on from.
    """

    def __init__(self, budget: int, world: World | None = None,
                 advice: Callable[[], str] = str):
        self.budget, self.world, self.advice = budget, world or World(), advice
        self.skipped = 0
        self._steps: list[tuple[int, list[str]]] = []
        self._values: list[Tensor] = []
        self._has_collapsed = self._has_varied = False

    def add(self, step: int, names: list[str], loss: Tensor, norm: Tensor) -> None:
        """Remember a step: its images, its loss and the norm of its gradient, not looked at yet."""
        self._steps.append((step, names))
        self._values.append(torch.stack([loss.detach().float(), norm.float()]))

    def check(self) -> list[float]:
        """The losses of the finite steps since the last check.

        Raises:
            UserError: more steps were left out than the budget allows.
        """
        if not self._values:
            return []
        values = torch.stack(self._values).tolist()
        steps, self._steps, self._values = self._steps, [], []
        losses = []
        for (step, names), (loss, norm) in zip(steps, values, strict=True):
            if math.isfinite(loss) and math.isfinite(norm):
                losses.append(loss)
            else:
                self._skip(step, names, loss)
        return losses

    def _skip(self, step: int, names: list[str], loss: float) -> None:
        self.skipped += 1
        names = [name for share in self.world.gather(names) for name in share]
        what = "the gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        problem = f"{what} at step {step}, on the images {', '.join(names)}"
        if self.skipped > self.budget:
            raise UserError(f"{problem}. The step was left out, and train.max_skipped="
                            f"{self.budget} allows no more. {self.advice()} TRACER's "
                            "released loss is infinite where a mask or its edges are empty; "
                            "loss.variant=paper is not.")
        if self.world.main:
            print(f"note: {problem}; the step is left out ({self.skipped} of {self.budget})",
                  file=sys.stderr)

    def look_at(self, step: int, saliency: Tensor) -> None:
        """Warn once when the main process's predictions, logits (N, 1, H, W), become constant.

        A network that has just been made may give 0.5 everywhere, which is no collapse.
        """
        low, high = saliency.detach().float().sigmoid().aminmax()
        constant = bool(high - low < CONSTANT)
        self._has_varied |= not constant
        collapsed = constant and (self._has_varied or bool((high < 0.05) | (low > 0.95)))
        if collapsed and not self._has_collapsed and self.world.main:
            print(f"warning: at step {step} the prediction is {float(low):.4f} everywhere, on all "
                  "images of the batch: the network has collapsed. A lower optim.lr or another "
                  "seed often helps.", file=sys.stderr)
        self._has_collapsed = collapsed
