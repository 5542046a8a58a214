"""Objectives whose edges are learned from images of their own."""

from __future__ import annotations

import torch

import losses
from model.objectives import TableObjective


def test_edges_may_be_learned_from_images_of_their_own():
    image, other = torch.randn(2, 2, 3, 8, 8).unbind()
    mask, edge = (torch.rand(2, 2, 1, 8, 8) > 0.5).float().unbind()
    outputs, terms = TableObjective({"saliency": {"bce": 1}, "edge": {"bce": 1, "target": "edge"}})(
        lambda image: {"saliency": image[:, :1], "edge": image[:, 1:2]},
        {"image": image, "mask": mask, "edge_image": other, "edge": edge})
    assert torch.equal(outputs["edge"], image[:, 1:2])
    assert terms["saliency_bce"] == losses.bce(image[:, :1], mask)
    assert terms["edge_bce"] == losses.bce(other[:, 1:2], edge)
