"""The weights that the authors of CSNet and U²-NetP published, on eight real images of ECSSD."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.transform import resize

import model
import test as test_script
from engine import Predictor
from utils.maps import read_map
from utils.official import official_file
from utils.weights import load_weights

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def csnet(network: model.Network, image: np.ndarray) -> np.ndarray:
    """The released protocol, step by step, on bytes (H, W, 3)."""
    small = resize(image / 255, (224, 224), order=1, mode="reflect", anti_aliasing=False)
    probability = predict(network, (small - MEAN) / STD)
    large = resize(probability, image.shape[:2], order=1, mode="reflect", anti_aliasing=False)
    return np.floor(255 * large)


def u2net(network: model.Network, image: np.ndarray) -> np.ndarray:
    """The same, of U²-Net."""
    small = resize(image / 255, (320, 320), order=1, mode="constant", anti_aliasing=False)
    probability = predict(network, (small / small.max() - MEAN) / STD)
    low, high = probability.min(), probability.max()
    grey = Image.fromarray(np.floor(255 * (probability - low) / (high - low)).astype(np.uint8))
    return np.asarray(grey.resize(image.shape[1::-1], Image.Resampling.BILINEAR), float)


def predict(network: model.Network, normalised: np.ndarray) -> np.ndarray:
    tensor = torch.from_numpy(normalised.transpose(2, 0, 1)[None]).float()
    with torch.no_grad():
        return network(tensor)["saliency"].sigmoid()[0, 0].double().numpy()


@pytest.mark.parametrize("name, protocol, error", [
    ("csnet_l_x1", csnet, 0.04658), ("csnet_l_x2", csnet, 0.07093),
    ("u2netp", u2net, 0.03112)])
def test_maps_are_those_of_the_released_protocol(shared, tmp_path, name, protocol, error):
    """To one grey level, and the mean absolute error of the eight is what PySODMetrics measures on
    the maps of the record in docs/records/."""
    images = sorted((shared / "data/mini/ECSSD/images").glob("*.jpg"))[:8]
    masks = shared / "data/mini/ECSSD/ground_truth_mask"
    (tmp_path / "some").mkdir()
    for image in images:
        shutil.copy(image, tmp_path / "some")
    official = shared / "data/official"
    assert test_script.main(["--config", name, "--official", "--checkpoint", str(official),
                             "--input", str(tmp_path / "some"), "--gpu", "cpu",
                             "--out", str(tmp_path), "data.workers=0"]) == 0
    maps = [read_map(tmp_path / name / "input" / f"{image.stem}.png") for image in images]
    truths = [np.asarray(Image.open(masks / f"{image.stem}.png").convert("L")) > 128
              for image in images]
    errors = [np.abs((each - each.min()) / float(np.ptp(each)) - truth).mean()
              for each, truth in zip(maps, truths, strict=True)]
    assert np.mean(errors) == pytest.approx(error, abs=2e-4)
    network = model.build(name).eval()
    load_weights(network, official_file(name, official))
    expected = protocol(network, np.asarray(Image.open(images[0]).convert("RGB")))
    assert np.abs(maps[0] - expected).max() <= 1
    in_python = Predictor(name, weights=official_file(name, official), device="cpu")(images[0])
    assert np.abs(255 * in_python - expected).max() < 1.01
