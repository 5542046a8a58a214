"""A trained network for other runtimes (ONNX, TorchScript, torch.export), held against its file.

An exported file takes ``image`` and gives ``logits`` and ``saliency``, the probabilities, both
(N, 1, H, W). ``image`` is what networks here take, normalised (N, 3, H, W) float32; with the
normalisation in the graph it is uint8 RGB (N, H, W, 3), as arrays of pictures are. Pictures are
resized to the recipe's size by who runs the file.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from data.transforms import normalise
from model import Network
from utils.errors import UserError
from utils.origin import commit
from utils.schema import DataConfig

from .trained import Trained

#: Format → how its files end.
FORMATS = {"onnx": ".onnx", "torchscript": ".pt", "torch_export": ".pt2"}
OPSET = 18  # of ONNX
TOLERANCE = 1e-3  # of a probability
_ONNX_BYTES = 2**31 - 2**24  # of weights; Protobuf's messages end at 2 GB, the graph included
NORMALISED = "normalised (N, 3, H, W)"  # images that a file takes
Run = Callable[[Tensor], tuple[Tensor, Tensor]]


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


class Deployed(nn.Module):
    """A network as it is exported.

    Args:
        network: in evaluation mode.
        data: a recipe's ``data`` group, where the graph is to normalise; else None.
        half: computes in 16 bits; images and outputs stay as they are.
    """

    def __init__(self, network: Network, data: DataConfig | None = None, half: bool = False):
        super().__init__()
        self.network, self.data, self.half_precision = network, data, half
        if half:
            network.half()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Images → logits and probabilities (N, 1, H, W), float32."""
        if self.data is not None:
            image = normalise(image.permute(0, 3, 1, 2), self.data.mean, self.data.std,
                              self.data.channels, self.data.range, self.data.scale == "own_max")
        logits = self.network(image.half() if self.half_precision else image)["saliency"].float()
        return logits, logits.sigmoid()


def metadata(trained: Trained, normalises: bool, half: bool) -> dict[str, str]:
    """What an exported file tells of itself."""
    data = trained.config.data
    return {"recipe": trained.config.name, "paper": trained.config.paper,
            "network": trained.config.model.name, "checkpoint": trained.path.name,
            "sha256": trained.sha256, "commit": commit(), "torch": torch.__version__,
            "input": "uint8 RGB (N, H, W, 3)" if normalises else NORMALISED,
            "precision": "fp16" if half else "fp32", "size": str(data.size),
            **{key: str(data[key]) for key in
               ("mean", "std", "channels", "range", "scale", "image_resize")},
            "config": OmegaConf.to_yaml(trained.config)}


def write(deployed: Deployed, example: Tensor, path: Path, kind: str,
          about: dict[str, str]) -> None:
    """Export to a file of a kind in ``FORMATS``. Batch, height and width are free as far as the
    network's arithmetic allows.

    Args:
        example: images (at least two, so that their number is not taken for a constant).

    Raises:
        UserError: the network cannot be exported; a package is missing.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch, on what it will do otherwise some day
            _WRITERS[kind](deployed, example, path, about)
    except ImportError as error:
        raise UserError(f"--format {kind} needs the package {error.name}: pip install onnx "
                        "onnxscript onnxruntime") from None
    except UserError:
        raise
    except Exception as error:  # torch's exporters raise errors of many kinds
        reason = error.__cause__ or error  # the first names a step of theirs, its cause what failed
        lines = str(reason).strip().splitlines() or [type(reason).__name__]
        raise UserError(f"the network cannot be exported as {kind}: {lines[0]}") from None


@functools.lru_cache(maxsize=2)  # two formats are written of one
def _program(deployed: Deployed, example: Tensor) -> torch.export.ExportedProgram:
    """The network as torch.export records it. Height and width are numbers where it takes images of
    one size only: as variables they let torch find that a batch of one is too small for NLDF."""
    sides = (1, 2) if deployed.data is not None else (2, 3)
    free = (0, *sides) if not deployed.network.fixed_side else (0,)
    return torch.export.export(deployed, (example,),
                               dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.AUTO),))


def _write_onnx(deployed: Deployed, example: Tensor, path: Path, about: dict[str, str]) -> None:
    size = sum(tensor.nbytes for tensor in deployed.state_dict().values())
    if size > _ONNX_BYTES:
        raise UserError(f"the network has {size / 1e9:.1f} GB of weights, and an ONNX file holds "
                        "at most 2 GB; --format torch_export has no such limit, and --precision "
                        "fp16 halves them")
    import onnx
    import onnxscript  # noqa: F401  torch says less clearly that it is missing

    program = torch.onnx.export(
        _program(deployed, example), dynamo=True, opset_version=OPSET, input_names=["image"],
        output_names=["logits", "saliency"], verbose=False)
    proto = program.model_proto
    onnx.helper.set_model_props(proto, about)
    onnx.save(proto, path)


def _write_torchscript(deployed: Deployed, example: Tensor, path: Path,
                       about: dict[str, str]) -> None:
    trace = torch.jit.trace(deployed, example, check_trace=False)
    trace.save(str(path), _extra_files={"metadata.json": json.dumps(about)})


def _write_program(deployed: Deployed, example: Tensor, path: Path, about: dict[str, str]) -> None:
    torch.export.save(_program(deployed, example), path,
                      extra_files={"metadata.json": json.dumps(about)})


_WRITERS = {"onnx": _write_onnx, "torchscript": _write_torchscript,
            "torch_export": _write_program}


def runner(path: Path, kind: str) -> Run:
    """What runs an exported file: images → logits and probabilities.

    Raises:
        UserError: onnxruntime is missing, or does not run the file.
    """
    if kind == "onnx":
        session = onnx_session(path)
        return lambda images: tuple(map(torch.from_numpy, session.run(
            ["logits", "saliency"], {"image": images.numpy()})))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on what it will do otherwise some day
        program = torch.jit.load(str(path)) if kind == "torchscript" else \
            torch.export.load(path).module()
    return lambda images: tuple(program(images))


def onnx_session(path: Path):
    """An ONNX file in onnxruntime, on the CPU.

    Raises:
        UserError: onnxruntime is missing, or does not take the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path} is run by onnxruntime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(str(path), options,
                                            providers=["CPUExecutionProvider"])
    except Exception as error:  # its own errors, which share no class
        raise UserError(f"onnxruntime does not run {path}: {error}") from None


def write_and_open(deployed: Deployed, own: Tensor, other: Sequence[Tensor], path: Path, kind: str,
                   about: dict[str, str]) -> Run:
    """Export to a file that takes images like ``own``, and of as many sizes as possible; what runs
    it.

    torch takes height and width for one number where an example's are equal. Of another size, it
    may find that the file takes larger images only, and then the file is written again of ``own``.

    Args:
        own: images of the size that the file is for.
        other: images of another size, none where the network does not take them.

    Raises:
        UserError: see ``write`` and ``runner``.
    """
    for example in (*other, own):
        write(deployed, example, path, kind, about)
        run = runner(path, kind)
        if example is own or takes(run, [own]):
            break
    return run


def takes(run: Run, batches: Iterable[Tensor]) -> bool:
    """Whether a file runs on images."""
    try:
        with torch.inference_mode():
            for images in batches:
                run(images)
    except Exception:  # of three runtimes
        return False
    return True


def largest_difference(reference: Deployed, run: Run, batches: Iterable[Tensor]) -> float:
    """The largest difference of a probability between a network and an exported file.

    Raises:
        UserError: the file fails on a batch, or gives what is no number.
    """
    largest = 0.0
    for images in batches:
        with torch.inference_mode():
            _, expected = reference(images)
            try:
                _, ours = run(images)
            except Exception as error:  # of three runtimes
                raise UserError(f"the exported file fails on images of shape "
                                f"{tuple(images.shape)}: {str(error).splitlines()[0]}") from None
        if ours.isnan().any():
            raise UserError("the exported file gives NaN")
        largest = max(largest, float((ours - expected).abs().max()))
    return largest
