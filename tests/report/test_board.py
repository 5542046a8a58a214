"""What TensorBoard gets when a run ends, read back; and the run, which is the same without it."""

from __future__ import annotations

import errno
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

import model
import train as train_script
from engine.embeddings import SIDE, Embeddings
from report import board as board_module
from report.board import Board, settings_of, whole_square
from tests.small_runs import events, train
from utils.config import load_config
from utils.schema import DataConfig

#: Two validations, of which the second follows on a step more.
VALIDATED = ("val.data=[TINY-TE]", "train.board=[hparams]", "train.steps=3", "train.batch=5")


def trained_in(root: Path, sets: Path, *more: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_script, "CHECKPOINTS", root)
        assert train(sets, *VALIDATED, *more) == 0
    return root / "trial"


@pytest.fixture(scope="module")
def run(made_sets, tmp_path_factory) -> Path:
    """A run with all that takes no package beside the requirements; tests only read it."""
    return trained_in(tmp_path_factory.mktemp("with"), made_sets,
                      "train.board=[figures, hparams, projector]")


@pytest.fixture(scope="module")
def plain(made_sets, tmp_path_factory) -> Path:
    """The same run without."""
    return trained_in(tmp_path_factory.mktemp("without"), made_sets, "train.board=[]")


def log_of(run: Path) -> list[list[str]]:
    """Rows of log.csv without speed and memory, which differ from run to run."""
    rows = [line.split(",") for line in (run / "log.csv").read_text().splitlines()]
    kept = [place for place, name in enumerate(rows[0])
            if name not in ("images_per_second", "memory_mib")]
    return [[row[place] for place in kept] for row in rows]


def same(first: object, second: object) -> bool:
    """Whether two checkpoints, or parts of them, are equal to the bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def test_the_run_is_the_same_to_the_bit_without_it(run, plain):
    assert (run / "final").is_dir() and not (plain / "final").exists()
    assert log_of(run) == log_of(plain)
    for name in ("last.pt", "best.pt"):
        first, second = (torch.load(folder / name, weights_only=True) for folder in (run, plain))
        assert first["config"]["train"].pop("board") != second["config"]["train"].pop("board")
        assert same(first, second)


def test_settings_stand_against_the_final_scores(run):
    values = {value.tag: value for event in events(run / "final") for value in event.summary.value}
    start = HParamsPluginData.FromString(
        values["_hparams_/session_start_info"].metadata.plugin_data.content).session_start_info
    assert start.hparams["optim.lr"].number_value == 1e-4
    assert start.hparams["model.name"].string_value == "ras_v2"
    assert json.loads(start.hparams["model.options"].string_value)["width"] == 0.0625
    assert start.hparams["optim.nesterov"].bool_value is False
    assert "reported" not in start.hparams and "train.patience" not in start.hparams  # null
    row = dict(zip(*log_of(run)[::len(log_of(run)) - 1], strict=True))
    assert values["MAE"].simple_value == pytest.approx(float(row["val_MAE"]), rel=1e-5)
    assert values["maxF"].simple_value == pytest.approx(float(row["val_maxF"]), rel=1e-5)
    assert values["_hparams_/session_end_info"].metadata.plugin_data.plugin_name == "hparams"
    assert "_hparams_/experiment" not in values


def test_figures_are_pictures(run):
    images = {value.tag: value.image for event in events(run / "final")
              for value in event.summary.value if value.HasField("image")}
    assert images.keys() == {"figures/steps", "figures/precision_recall", "figures/F_threshold"}
    assert all(max(image.width, image.height) == 900 for image in images.values())


def test_points_are_the_means_of_the_deepest_stage(run, made_sets):
    names, *rows = [line.split("\t")
                    for line in (run / "final/metadata.tsv").read_text().splitlines()]
    assert names == ["name", "MAE", "maxF"]
    files = {path.stem: path for path in (made_sets / "TINY-TE/images").iterdir()}
    assert {name for name, *_ in rows} == files.keys()
    last = dict(zip(*log_of(run)[::len(log_of(run)) - 1], strict=True))
    assert np.mean([float(mae) for _, mae, _ in rows]) == \
        pytest.approx(float(last["val_MAE"]), abs=1e-4)

    network = model.build("ras_v2", trunk="vgg16", width=0.0625).eval()
    network.load_state_dict(torch.load(run / "last.pt", weights_only=True)["network"])
    points = np.loadtxt(run / "final/tensors.tsv", ndmin=2)
    data = DataConfig()
    sheet = np.asarray(Image.open(run / "final/sprite.png"))
    assert sheet.shape == (2 * SIDE, 2 * SIDE, 3)
    for place, (name, *_) in enumerate(rows):
        with Image.open(files[name]) as photo:
            image = np.asarray(photo.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
        image = torch.from_numpy(image / 255).float().permute(2, 0, 1)[None]
        normalised = (image - torch.tensor(data.mean).view(3, 1, 1)) / \
            torch.tensor(data.std).view(3, 1, 1)
        with torch.no_grad():
            features = network.trunk(normalised)[list(network.trunk.channels)[-1]].mean((-2, -1))
        assert points[place] == pytest.approx(features[0].numpy(), rel=1e-3, abs=1e-5)
        row, column = divmod(place, 2)
        cell = sheet[row * SIDE:(row + 1) * SIDE, column * SIDE:(column + 1) * SIDE]
        assert cell.mean((0, 1)) / 255 == pytest.approx(image[0].mean((-2, -1)).numpy(), abs=0.01)


def test_tensorboard_reads_it(run):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from google.protobuf import text_format
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    read = EventAccumulator(str(run / "final")).Reload()
    assert set(read.Tags()["scalars"]) == {"MAE", "maxF", "meanF", "adpF"}
    assert [event.step for event in read.Scalars("MAE")] == [3]
    assert set(read.Tags()["images"]) == {"figures/steps", "figures/precision_recall",
                                          "figures/F_threshold"}
    content = read.PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    assert start.hparams["train.batch"].number_value == 5
    config = text_format.Parse((run / "final/projector_config.pbtxt").read_text(),
                               ProjectorConfig())
    (shown,) = config.embeddings
    assert shown.tensor_name.startswith("trunk.") and shown.sprite.single_image_dim == [SIDE, SIDE]
    assert all((run / "final" / name).is_file() for name in (
        shown.tensor_path, shown.metadata_path, shown.sprite.image_path))


def test_the_graph_is_that_of_the_network_and_what_has_none_is_named(tmp_path, capsys):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = load_config("cpd_vgg", ["train.board=[graph, hparams]"])
    for name in ("cpd_vgg", "wssa"):
        network = model.build(name, width=0.0625)
        network.trunk.eval()  # as with optim.frozen_norm
        modes = [module.training for module in network.modules()]
        random = torch.get_rng_state()
        Board(tmp_path, config, 1, network, 64).write()
        assert modes == [module.training for module in network.modules()]
        assert torch.equal(random, torch.get_rng_state())
        read = EventAccumulator(str(tmp_path / "final")).Reload()
        assert "hparams" in {value.metadata.plugin_data.plugin_name for event in
                             events(tmp_path / "final") for value in event.summary.value}
        assert read.Tags()["graph"] == (name == "cpd_vgg")
        if name == "cpd_vgg":
            nodes = {node.op for node in read.Graph().node}
            assert {"aten::_convolution", "aten::relu_"} & nodes
    assert "TensorBoard gets no graph: WSSA cannot be traced" in capsys.readouterr().err


@pytest.mark.parametrize("board, package, message", [
    ("graph", None, "pip install tensorboard"),
    ("projector", None, "set val.data or val.fraction"),
    ("figure", None, "figures")])
def test_what_cannot_be_had_is_said_before_training(made_sets, runs, capsys, monkeypatch, board,
                                                    package, message):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: package)
    assert train(made_sets, f"train.board=[{board}]") == 2
    assert message in capsys.readouterr().err
    assert not runs.exists() or not list(runs.glob("*/last.pt"))


def test_an_ended_run_gets_it_on_resume_and_loses_it_when_replaced(plain, made_sets, tmp_path):
    copy = tmp_path / "trial"
    copy.mkdir()
    for path in plain.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    before = (copy / "last.pt").read_bytes()
    (copy / ".final-1").mkdir()  # of a process that was killed
    (copy / ".final-1/tensors.tsv").write_text("1\t")
    trained_in(tmp_path, made_sets, "--resume", "train.board=projector")
    assert len((copy / "final/tensors.tsv").read_text().splitlines()) == 4
    assert (copy / "last.pt").read_bytes() == before
    assert not (copy / ".final-1").exists()
    trained_in(tmp_path, made_sets, "--overwrite", "train.board=[]")
    assert not (copy / "final").exists()


def test_a_full_disk_leaves_the_run_and_what_was_there(run, made_sets, runs, capsys, monkeypatch):
    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    trained_in(runs, made_sets)
    before = sorted(path.read_bytes() for path in (runs / "trial/final").iterdir())
    monkeypatch.setattr(board_module.Events, "add",
                        lambda self, *_: full() if ".final-" in str(self.path) else None)
    assert train(made_sets, *VALIDATED, "--resume") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(path.read_bytes() for path in (runs / "trial/final").iterdir()) == before
    assert not list((runs / "trial").glob(".final*"))
    assert torch.load(runs / "trial/last.pt", weights_only=True)["at"]["step"] == 3


def test_the_first_view_counts_and_few_of_many_images_are_kept():
    network = model.build("u2netp")
    images = torch.rand(2, 3, 64, 64)
    embeddings = Embeddings(network, 2500, DataConfig())
    with embeddings.of([3, 4], images), torch.inference_mode():
        network.eval()(images)
        network(images.flip(-1))
    assert embeddings.points.keys() == {3}  # each third
    deepest: list[torch.Tensor] = []
    network.stages["6"].register_forward_hook(lambda *parts: deepest.append(parts[-1]))
    with torch.no_grad():
        network(images)
    assert embeddings.points[3].features == pytest.approx(deepest[0][0].mean((-2, -1)).numpy(),
                                                          rel=1e-4, abs=1e-6)
    assert not network.stages["5"]._forward_hooks and len(network.stages["6"]._forward_hooks) == 1


@pytest.mark.parametrize("name, stage", [("cpd_vgg", "detection.trunk.conv5"),
                                         ("tracer_te0", "deep.group7"), ("u2netp", "stages.6")])
def test_of_several_trunks_the_deepest_counts(name, stage):
    with torch.device("meta"):
        assert model.build(name).deepest_stage() == stage


def test_the_sheet_is_square_and_its_rest_white():
    sheet = whole_square(np.zeros((5, 3, 2, 2), np.uint8))
    assert sheet.shape == (9, 3, 2, 2) and not sheet[:5].any() and (sheet[5:] == 1).all()


def test_settings_are_flat():
    settings = settings_of(load_config("cpd_vgg", ["data.train=[a, b]", "train.steps=7"]))
    assert settings["data.train"].startswith("[") and settings["train.steps"] == 7
    assert all(isinstance(value, bool | int | float | str) for value in settings.values())
