"""A run's figure: what is drawn, read back from matplotlib, is what log.csv says."""

from __future__ import annotations

import pytest

from report import __main__ as report_script
from report.run import draw_run

LOG = """step,epoch,lr,lr_trunk,loss,a_bce,b_iou,gradient_norm,memory_mib,val_MAE,val_maxF,val_loss
1,1,0.1,0.01,2.0,1.5,0.5,3,4,,,
2,1,0.05,0.005,1.0,0.75,0.25,3,4,,,
2,1,,,,,,,,0.3,0.6,
3,2,0.001,0.0001,0.1,0.075,0.025,3,4,,,
3,2,,,,,,,,0.2,0.7,0.4
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial/log.csv").write_text(LOG)
    return tmp_path / "trial"


def test_each_column_is_a_line_in_its_panel(run):
    figure = draw_run(run)
    drawn = {axes.get_ylabel(): {line.get_label(): line.get_xydata().tolist()
                                 for line in axes.lines} for axes in figure.drawing.axes}
    assert drawn == {
        "loss": {"loss": [[1, 2], [2, 1], [3, .1]], "a_bce": [[1, 1.5], [2, .75], [3, .075]],
                 "b_iou": [[1, .5], [2, .25], [3, .025]]},
        "learning rate": {"lr": [[1, .1], [2, .05], [3, .001]],
                          "lr_trunk": [[1, .01], [2, .005], [3, .0001]]},
        "validation MAE": {"val_MAE": [[2, .3], [3, .2]]},
        "validation maxF": {"val_maxF": [[2, .6], [3, .7]]},
        "validation loss": {"val_loss": [[3, .4]]}}
    ticks = figure.drawing.axes[0].get_yticklabels()
    assert {"0.1", "1"} <= {tick.get_text() for tick in ticks}
    scales = {axes.get_ylabel(): axes.get_yscale() for axes in figure.drawing.axes}
    assert scales == {"loss": "log", "learning rate": "log"} | {
        f"validation {name}": "linear" for name in ("MAE", "maxF", "loss")}


def test_all_of_many_terms_are_named_and_look_different(run):
    terms = [f"side{number}_bce" for number in range(23)]
    (run / "log.csv").write_text(f"step,loss,{','.join(terms)}\n1{',1' * 24}\n")
    axes = draw_run(run).drawing.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["loss", *terms]
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 24


def test_logs_of_spreadsheets_and_of_crashes_are_read(run):
    for cut in (b"4,2,0.001,0.0", b"4,2,,,,,,,,0.1,0.8,0."):  # before and in the last cell
        (run / "log.csv").write_bytes(LOG.encode("utf-8-sig") + cut)
        panels = [axes.lines[0].get_xydata()[-1].tolist() for axes in draw_run(run).drawing.axes]
        assert panels == [[3, .1], [3, .001], [3, .2], [3, .7], [3, .4]]


def test_the_command_writes_the_figure_beside_the_log_or_where_it_is_told(run, tmp_path, capsys):
    assert report_script.main(["run", str(run)]) == 0
    assert (run / "run.png").read_bytes().startswith(b"\x89PNG")
    assert report_script.main(["run", str(run), "--out", str(tmp_path / "a.pdf")]) == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert report_script.main(["run", str(run), "--out", str(tmp_path / "b.PNG")]) == 0
    assert (tmp_path / "b.PNG").read_bytes().startswith(b"\x89PNG")
    written = [run / "run.png", tmp_path / "a.pdf", tmp_path / "b.PNG"]
    assert capsys.readouterr().out.splitlines() == list(map(str, written))


@pytest.mark.parametrize("text, words, message", [
    (None, [], "log.csv: no such file; name a run's folder"),
    ("step,epoch,loss\n1,1,x\n", [], "not a log.csv as train.py writes it"),
    ("\0" * 200_000 + "\n", [], "not a log.csv as train.py writes it"),
    ("a,b\n1,2\n", [], "not a log.csv as train.py writes it"),
    (LOG.replace("\n2,", "\nlost\n2,", 1), [], "line 3 has too few cells"),
    (LOG + "9,1,0.1" + 10 * ",1" + "\n", [], "line 7 has too many cells"),
    ("step,epoch,loss\n", [], "has no loss yet"),
    (LOG, ["--out", "x.jpg"], "a figure's name ends in .pdf, .png, .svg")])
def test_what_is_no_run_is_said(run, capsys, text, words, message):
    (run / "log.csv").write_text(text or "")
    if text is None:
        (run / "log.csv").unlink()
    assert report_script.main(["run", str(run), *words]) == 2
    assert message in capsys.readouterr().err
