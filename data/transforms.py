"""Joint transforms of an image and its mask or scribble, on torchvision's v2 transforms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from .decode import SCRIBBLE_CODES

UNKNOWN = SCRIBBLE_CODES[0]


class JointTransform:
    """Random crop and flip, then a squash to a square, the same for image and targets.

    Everything random is drawn from torch's generator, which the data set seeds for each sample,
    so results do not depend on the number of workers.

    Args:
        size: height and width of the result. The aspect ratio is not kept, as in the papers.
        flip: probability of a horizontal flip.
        crop: smallest share of the area that a random crop keeps; 1 for none.
        soft_mask: keep grey mask values; otherwise the mask is cut at one half.
        mean, std: of the three RGB channels in [0, 1].
    """

    def __init__(self, size: int, flip: float = 0.0, crop: float = 1.0, soft_mask: bool = False,
                 mean: Sequence[float] = (0.485, 0.456, 0.406),
                 std: Sequence[float] = (0.229, 0.224, 0.225)):
        if crop < 1:
            # On the squashed image: a crop of the same aspect ratio as the image.
            resize = [v2.Resize((size, size)),
                      v2.RandomResizedCrop((size, size), scale=(crop, 1.0), ratio=(1.0, 1.0))]
        else:
            resize = [v2.Resize((size, size))]
        self._geometry = v2.Compose([*resize, v2.RandomHorizontalFlip(flip)])
        self.soft_mask = soft_mask
        self.mean, self.std = list(mean), list(std)

    def __call__(self, image: Image.Image, mask: np.ndarray | None = None,
                 scribble: np.ndarray | None = None) -> dict[str, Tensor]:
        """PIL RGB image, uint8 mask and scribble (H, W) → the tensors of a sample.

        ``image`` (3, S, S) float32 normalised; ``mask`` (1, S, S) float32 in {0, 1}, or in
        [0, 1] when soft; ``scribble`` (1, S, S) int64 in {0, 1, 255}.
        """
        parts: dict = {"image": image}
        if mask is not None:
            hard = mask if self.soft_mask else np.where(mask > 127, 255, 0).astype(np.uint8)
            parts["mask"] = Image.fromarray(hard)  # an image to v2: bilinear
        if scribble is not None:
            # A Mask to v2: nearest. Interpolated labels would turn the rim of a background
            # stroke (2 → 1 → 0) into foreground.
            parts["scribble"] = tv_tensors.Mask(torch.from_numpy(np.ascontiguousarray(scribble)))
        parts = self._geometry(parts)
        sample = {"image": normalise(image_tensor(parts["image"]), self.mean, self.std)}
        if mask is not None:
            soft = image_tensor(parts["mask"]).float() / 255
            sample["mask"] = soft if self.soft_mask else (soft > 0.5).float()
        if scribble is not None:
            sample["scribble"] = parts["scribble"].as_subclass(Tensor).long().unsqueeze(0)
        return sample


def image_tensor(image: Image.Image) -> Tensor:
    """PIL image → contiguous uint8 tensor (C, H, W)."""
    pixels = np.array(image)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels))


def normalise(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 RGB (…, 3, H, W) → float32, scaled to [0, 1], then (x − mean) / std."""
    return v2.functional.normalize(image.float() / 255, list(mean), list(std))


def denormalise(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The inverse of ``normalise`` up to rounding: float32 RGB in [0, 1], for pictures."""
    shape = (3, 1, 1)
    scale = torch.tensor(std, dtype=image.dtype, device=image.device).view(shape)
    shift = torch.tensor(mean, dtype=image.dtype, device=image.device).view(shape)
    return (image * scale + shift).clamp(0, 1)
