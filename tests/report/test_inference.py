"""The benchmark of runtimes: what it measures, what it leaves out, and the table of its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import inference as benchmark
from benchmarks import runtimes
from report import inference
from report.inference import PLAIN
from tests.small_runs import RECIPE

ROW = {"size": "320", "batch": 10, "images": {"model": 4.0, "end": 3.0},
       "latency": {"model": 250.0, "end": 300.0}, "slow": {"model": 280.0, "end": 400.0},
       "memory": 900.0, "distance": 0.0, "counts": [1_131_181, 6_000_000_000], "threads": 2,
       "machine": "A CPU", "version": "torch 2", "load": 0.5, "date": "2026-11-28",
       "commit": "0123456789abcdef"}


def test_the_table_compares_with_torch_in_float32():
    fast = ROW | {"images": {"model": 10.0, "end": 5.0}, "distance": .00123,
                  "version": "openvino 1"}
    lines = inference.table({"u2netp": {"openvino bf16": fast, PLAIN: ROW}}).splitlines()
    assert lines[2:4] == [
        f"| `u2netp` | 1.13 M, 6.00 G | 320, 10 | {side}"
        for side in ("torch fp32 | 4.00 | 1.00 | 3.00 | 250, 280 | 300, 400 | 900 | 0 |",
                     "openvino bf16 | 10.00 | 2.50 | 5.00 | 250, 280 | 300, 400 | 900 | 1e-03 |")]
    assert lines[-1] == ("- on 2026-11-28 at 0123456789, A CPU, 2 threads, openvino 1, torch 2, at "
                         "a load of 0.5 to 0.5: u2netp")


def test_rows_are_kept_until_they_are_measured_again(tmp_path):
    path = tmp_path / "rows.json"
    for side, batch in ((PLAIN, 1), ("torch bf16", 2), (PLAIN, 3)):
        inference.add_inference(path, "u2netp", side, ROW | {"batch": batch})
    rows = inference.read_inference(path)
    assert {side: row["batch"] for side, row in rows["u2netp"].items()} == \
        {PLAIN: 3, "torch bf16": 2}


def run(monkeypatch, *words: str) -> int:
    """The command, in this process, on a small network and small images."""
    monkeypatch.setattr(benchmark, "in_a_process", lambda function, *given: function(*given))
    return benchmark.main(["--config", str(RECIPE), "--runs", "1", *words])


def test_torch_is_measured_in_both_precisions(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "MOST", 20)
    assert run(monkeypatch, "--runtime", "torch", "data.size=64", "test.batch=1",
               "data.workers=0") == 0
    *_, plain, half = capsys.readouterr().out.splitlines()
    cells = [line.strip("| ").split(" | ") for line in (plain, half)]
    assert [row[3] for row in cells] == [PLAIN, "torch bf16"]
    assert (cells[0][0], cells[0][2]) == ("`small.yaml`", "64, 1")
    assert cells[0][-1] == "0" and 0 < float(cells[1][-1]) < 1  # bf16 has other logits, near them
    assert float(cells[0][5]) == 1 and float(cells[1][5]) > 0
    assert all(float(row[6]) > 0 for row in cells)


def test_what_is_done_once_does_not_count_in_photos_a_second(monkeypatch):
    monkeypatch.setattr(benchmark, "seconds", lambda predict, calls: [
        2 + 0.5 * len(photos) for photos in calls[benchmark.WARM_UP:]])
    assert benchmark.end_to_end(None, [Path("a")] * 10, rate=5) == 2
    monkeypatch.setattr(benchmark, "seconds", lambda predict, calls: [1.0, 1.0])
    with pytest.raises(benchmark.UserError, match="50 photos took no longer than 10"):
        benchmark.end_to_end(None, [Path("a")] * 10, rate=5)


def test_what_is_not_installed_is_named_and_left_out(monkeypatch, capsys):
    monkeypatch.setattr(runtimes, "is_installed", lambda package: False)
    assert run(monkeypatch, "--runtime", "onnxruntime", "openvino") == 2
    error = capsys.readouterr().err
    assert "onnxruntime fp32 is left out: pip install onnx onnxscript onnxruntime" in error
    assert "openvino bf16 is left out: pip install onnx onnxscript openvino" in error
    assert "none of the runtimes is installed" in error


def test_a_network_that_does_not_export_is_run_by_torch_alone(monkeypatch, capsys):
    def refuse(*_):
        raise benchmark.UserError("no file of it")

    monkeypatch.setattr(benchmark, "write_onnx", refuse)
    monkeypatch.setattr(benchmark, "missing", lambda name: [])
    assert run(monkeypatch, "--runtime", "onnxruntime") == 0
    assert "small.yaml: onnxruntime fp32 is left out: no file of it" in capsys.readouterr().err


def test_a_runtime_of_another_name_is_an_error(monkeypatch, capsys):
    assert run(monkeypatch, "--runtime", "opennvino") == 2
    assert "openvino" in capsys.readouterr().err


def test_only_what_recipes_give_is_kept(tmp_path, monkeypatch, capsys):
    path = tmp_path / "rows.json"
    assert run(monkeypatch, "--save", str(path), "data.size=64") == 2
    assert "--save keeps what the recipes give" in capsys.readouterr().err
    assert run(monkeypatch, "--save", str(path), "--runtime", "openvino") == 2
    assert "name torch too" in capsys.readouterr().err
    assert not path.exists()


def test_a_network_that_leaves_torch_is_measured_as_it_exports():
    assert benchmark.recipe_of(benchmark.recipe_path("wssa"), []).model.options["canny"] == "torch"


def test_without_torch_no_distance_is_printed():
    line = inference.line("u2netp", "openvino bf16", ROW | {"distance": float("nan")}, None)
    assert line.count("–") == 2 and "nan" not in line  # the ratio has none either


def test_distance_is_in_deviations():
    plain = np.array([0.0, 2.0])
    assert benchmark.distance(plain + 0.5, plain) == 0.5


def test_openvino_gives_the_logits_of_a_file(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image", "axes"], ["logits"])], "mean",
        [helper.make_tensor_value_info("image", kind, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("logits", kind, ["n", 1, "h", "w"])],
        [helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [1])])
    path = tmp_path / "mean.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    images = torch.randn(2, 3, 4, 5)
    logits = runtimes.OpenVinoNetwork(path, "fp32")(images)["saliency"]
    assert torch.allclose(logits, images.mean(dim=1, keepdim=True), atol=1e-6)
