"""export.py: what it writes is what the network gives, or is not written."""

from __future__ import annotations

import io
import json
import os
import signal
import zipfile
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

import engine.export
import engine.exported
import export as export_script
from data.layers import finish, squash
from engine import Predictor
from engine.export import FORMATS, NORMALISED, onnx_session
from model.base import Network
from report import __main__ as report_script
from tests.small_runs import predict
from utils.errors import UserError
from utils.files import sha256_of
from utils.maps import read_map
from utils.schema import DataConfig

needs_onnx = pytest.mark.skipif(
    any(not engine.export.is_installed(name) for name in ("onnx", "onnxruntime", "onnxscript")),
    reason="onnx, onnxruntime or onnxscript is not installed")
#: The graph of one of them normalises.
WORDS = {"onnx": [], "torchscript": [], "torch_export": ["--with-normalisation"]}


@pytest.fixture(scope="module")
def photos(made_sets) -> list[Path]:
    return sorted((made_sets / "TINY-TE/images").iterdir())


def export(trained, out, *more: str) -> int:
    return export_script.main(["--checkpoint", str(trained), "--out", str(out), "data.size=64",
                               *more])


@pytest.fixture(scope="module", params=[
    pytest.param(kind, marks=needs_onnx if kind == "onnx" else ()) for kind in FORMATS])
def exported(request, trained, photos, tmp_path_factory) -> tuple[str, Path, str]:
    """A format, a file of it, and what was printed."""
    out = tmp_path_factory.mktemp("exported") / f"net{FORMATS[request.param]}"
    with redirect_stdout(io.StringIO()) as printed:
        assert export(trained, out, "--format", request.param, "--check", str(photos[0].parent),
                      *WORDS[request.param]) == 0
    return request.param, out, printed.getvalue()


def test_a_file_takes_pictures_of_any_size_and_gives_the_networks_probabilities(
        trained, photos, exported):
    kind, out, printed = exported
    shape = "uint8 (N, H, W, 3) RGB" if WORDS[kind] else "float32 (N, 3, H, W), normalised"
    assert f"  image: {shape}; height and width are free\n" in printed
    assert "on 10 images the largest difference of a probability is" in printed
    predictor = Predictor(trained, device="cpu", overrides=["data.size=[64,96]",
                                                            "test.minmax=false"])
    options = OmegaConf.to_object(predictor.config.data)
    picture = Image.open(photos[0]).convert("RGB").resize((96, 64))
    pixels = squash({"image": picture}, (64, 96), options)["image"][None]
    images = pixels.permute(0, 2, 3, 1).contiguous() if WORDS[kind] else \
        finish({"image": pixels}, options)["image"]
    with torch.inference_mode():
        logits, saliency = engine.export.runner(out, kind)(images)
    assert saliency.shape == logits.shape == (1, 1, 64, 96)
    assert np.abs(saliency[0, 0].numpy() - predictor(picture)).max() < 1e-4
    assert torch.allclose(logits.sigmoid(), saliency, atol=1e-6)


def test_a_file_tells_what_it_is(trained, exported):
    kind, out, _ = exported
    if kind == "onnx":
        about = onnx_session(out).get_modelmeta().custom_metadata_map
    else:
        with zipfile.ZipFile(out) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("metadata.json"))
            about = json.loads(archive.read(name))
    assert (about["recipe"], about["network"], about["size"]) == ("trial", "ras_v2", "64")
    assert (about["sha256"], about["precision"]) == (sha256_of(trained), "fp32")
    assert about["input"] == ("uint8 RGB (N, H, W, 3)" if WORDS[kind] else NORMALISED)
    assert about["mean"] == "[0.485, 0.456, 0.406]" and "trunk: vgg16" in about["config"]


@pytest.mark.parametrize("exported", [pytest.param("onnx", marks=needs_onnx)], indirect=True)
def test_test_py_runs_an_exported_file(trained, exported, made_sets, tmp_path, capsys, monkeypatch):
    _, out, _ = exported
    for checkpoint, folder in ((trained, "torch"), (out, "onnx")):
        assert predict(checkpoint, tmp_path / folder, "--data", "TINY-TE", "data.size=64",
                       f"data.root={made_sets}") == 0
    assert "by onnxruntime" in capsys.readouterr().out
    for path in (tmp_path / "torch/trial/TINY-TE").iterdir():
        first, second = (read_map(tmp_path / folder / "trial/TINY-TE" / path.name).astype(int)
                         for folder in ("torch", "onnx"))
        assert np.abs(first - second).max() <= 1
    for path, words, message in (
            (out, ["test.precision=bf16"], "leave it out"),
            (out, ["test.output=side3"], "its outputs are saliency"),
            (tmp_path / "gone.onnx", [], "gone.onnx: file not found")):
        assert predict(path, tmp_path / "x", "--data", "TINY-TE", *words) == 2
        assert message in capsys.readouterr().err
    network = engine.exported.OnnxNetwork(out)
    network.shape = ["batch", 3, 64, 64]
    with pytest.raises(UserError, match=r"takes images of 64×64 pixels, not 96×64"):
        network(torch.zeros(1, 3, 96, 64))
    monkeypatch.setattr(engine.exported, "NORMALISED", "something else")
    assert predict(out, tmp_path) == 2
    assert "export it without --with-normalisation" in capsys.readouterr().err


@pytest.mark.parametrize("exported", [pytest.param("onnx", marks=needs_onnx)], indirect=True)
def test_nobody_looks_into_an_exported_file(exported, photos, tmp_path, capsys):
    _, out, _ = exported
    assert report_script.main(["explain", "--checkpoint", str(out), "--input", str(photos[0]),
                               "--gpu", "cpu", "--out", str(tmp_path)]) == 2
    assert "net.onnx is an exported network, into which nobody can look" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


class OneLayer(Network):
    """Logits: 1 times the first channel, 2 times the second, 3 times the third."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        self.conv.weight.data = torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1)

    def forward(self, image):
        return {"saliency": self.conv(image)}


@needs_onnx
def test_an_onnx_file_normalises(tmp_path):
    data = DataConfig(channels="bgr", range=255, mean=[50, 100, 150], std=[10, 20, 30])
    random = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, size, dtype=torch.uint8, generator=random)
              for size in ((2, 8, 8, 3), (3, 10, 12, 3), (1, 10, 12, 3))]
    run = engine.export.write_and_open(engine.export.Deployed(OneLayer().eval(), data), images[0],
                                       images[1:2], tmp_path / "net.onnx", "onnx", {})
    for pixels in images:
        logits, saliency = run(pixels)
        normalised = (pixels.flip(-1) - torch.tensor([50, 100, 150])) / torch.tensor([10, 20, 30])
        expected = (normalised * torch.tensor([1, 2, 3])).sum(dim=-1)
        assert torch.allclose(logits[:, 0], expected, atol=1e-4)
        assert torch.allclose(saliency[:, 0], expected.sigmoid(), atol=1e-5)


def test_what_an_onnx_file_cannot_hold_is_refused_before_it_is_made(tmp_path):
    network = OneLayer()
    network.more = nn.Parameter(torch.empty(2**29, device="meta"))  # of 4 bytes each
    with pytest.raises(UserError, match=r"2.1 GB of weights, .* at most 2 GB; --format torch_exp"):
        engine.export.write(engine.export.Deployed(network.eval()), torch.zeros(2, 3, 8, 8),
                            tmp_path / "net.onnx", "onnx", {})
    assert not any(tmp_path.iterdir())


def test_a_file_that_differs_is_not_kept(trained, tmp_path, monkeypatch, capsys):
    right = engine.export.runner

    def wrong(path, kind):
        run = right(path, kind)
        return lambda images: (run(images)[0], run(images)[1] + 0.002)

    monkeypatch.setattr(engine.export, "runner", wrong)
    assert export(trained, tmp_path / "net.pt", "--format", "torchscript") == 2
    error = capsys.readouterr().err
    assert "differs by 0.002 from the network's, which is more than 0.001" in error
    assert not list(tmp_path.iterdir())


def test_a_stop_leaves_nothing_behind(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(engine.export, "runner", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        export(trained, tmp_path / "net.pt", "--format", "torchscript")
    assert not list(tmp_path.iterdir())


def test_a_file_of_16_bits_is_held_against_the_network_of_32(trained, tmp_path, capsys):
    out = tmp_path / "half.pt"
    assert export(trained, out, "--format", "torchscript", "--precision", "fp16") == 0
    assert "torchscript, fp16" in capsys.readouterr().out
    weights = {tensor.dtype for tensor in torch.jit.load(str(out)).parameters()}
    assert weights == {torch.float16}


def test_what_is_there_is_not_replaced(trained, tmp_path, capsys):
    (tmp_path / "net.pt").write_bytes(b"mine")
    assert export(trained, tmp_path / "net.pt", "--format", "torchscript") == 2
    assert "net.pt is there already" in capsys.readouterr().err
    assert (tmp_path / "net.pt").read_bytes() == b"mine"


def test_words_that_do_not_fit_are_refused(trained, tmp_path, capsys, monkeypatch):
    assert export(trained, tmp_path / "net.pth") == 2
    assert "a file of onnx ends in .onnx" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), RuntimeError("step 3 of 3")])
def test_why_torch_does_not_export_is_told(trained, tmp_path, capsys, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error from (ZeroDivisionError("by zero") if "step" in str(error) else None)

    monkeypatch.setattr(engine.export, "_WRITERS", {"torchscript": fail})
    assert export(trained, tmp_path / "net.pt", "--format", "torchscript") == 2
    assert "cannot be exported as torchscript: by zero" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
