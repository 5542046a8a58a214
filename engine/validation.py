"""The validation of a run: its maps, scored, while it trains."""

from __future__ import annotations

import math

from torch import nn

from data import Pair
from data.loader import evaluation_loader
from data.masks import mask_of
from metrics import Evaluator
from utils.errors import UserError
from utils.option import NATIVE

from .embeddings import Embeddings
from .precision import Precision
from .prediction import forward, maps_of
from .run import Run, Validated


def validate(network: nn.Module, pairs: list[Pair], run: Run) -> Validated:
    """The maps that test.py would write for ``pairs``, scored as eval.py would score them, and
    with val.watch=loss their mean ``loss``; each process predicts its share of them."""
    config, world, with_loss = run.config, run.world, run.config.val.watch == "loss"
    world.share_buffers(network)
    evaluator, total, not_finite = Evaluator(measures=("MAE", "F")), 0.0, []
    embeddings = Embeddings(network, len(pairs), config.data,
                            "projector" in config.train.board)
    if mine := range(len(pairs))[world.rank::world.size]:
        chosen = [pairs[n] if with_loss else
                  Pair(pairs[n].name, pairs[n].image, size=pairs[n].size) for n in mine]
        precision = Precision(config.test.precision, run.precision.device)
        # A loss that counts pixels over a batch is to count each image's, as in training.
        size = 1 if with_loss and config.data.size == NATIVE else config.test.batch
        for batch in evaluation_loader(chosen, config.data, size, precision.device,
                                       run.objective.targets if with_loss else ()):
            numbers = [mine[index] for index in batch["index"]]
            with embeddings.of(numbers, batch["image"]):
                logits, loss = forward(network, batch, precision,
                                       run.objective if with_loss else None,
                                       flip=config.test.flip, scales=config.test.scales)
            total += loss * len(batch["name"])
            not_finite += [] if math.isfinite(loss) else batch["name"]
            maps = maps_of(logits, batch, config.test.resize, config.test.minmax,
                           config.test.align_corners, config.test.bytes == "cut")
            for number, saliency in zip(numbers, maps, strict=True):
                # The number names the map, as two sets may share a stem.
                evaluator.update(str(number), *mask_of(pairs[number]).known(saliency))
    evaluator.flush()
    evaluators, totals, names, points = zip(*world.gather(
        (evaluator, total, not_finite, embeddings.points)), strict=True)
    if names := [name for share in names for name in share]:
        raise UserError(f"the validation's loss is not finite on the images {', '.join(names)}, so "
                        "no weights are better than others. Where a mask or its edges are empty, "
                        "loss.variant=paper is finite (TRACER); val.watch=MAE needs no loss.")
    for share in evaluators[1:]:
        evaluators[0].merge(share)
    scores = evaluators[0].compute() | ({"loss": sum(totals) / len(pairs)} if with_loss else {})
    return Validated(run.progress.step, pairs, scores, evaluators[0], embeddings.stage,
                     {number: point for share in points for number, point in share.items()})
