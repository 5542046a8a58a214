"""The rooms and their arrows: nothing imports from a room above its own."""

from __future__ import annotations

import model
from scripts import rooms
from utils.paths import ROOT


def test_every_folder_and_script_with_code_is_a_room():
    folders = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("*/**/*.py")}
    hidden = {name for name in folders if name.startswith(".")}
    scripts = {path.stem for path in ROOT.glob("*.py")}
    above = {room for room in rooms.LEVEL if "/" in room}
    assert (folders - hidden - {"tests"}) | scripts | above == rooms.LEVEL.keys()
    assert all(rooms.files(room) for room in rooms.LEVEL)


def test_no_arrow_runs_up():
    upward = [f"{path.relative_to(ROOT)}:{line} imports {name}"
              for room in rooms.LEVEL for path in rooms.files(room)
              for name, line in rooms.imports(path)
              if (target := name.partition(".")[0]) in {*rooms.LEVEL, "tests"} - {room}
              and not rooms.may_import(room, target)]
    assert not upward


def test_networks_do_not_import_from_each_other():
    """What two papers share lies in model/blocks.py or model/trunks/."""
    papers = {model.network_class(name).__module__ for name in model.names()}
    borrowed = [f"{paper} imports {name}" for paper in sorted(papers)
                for name, _ in rooms.imports(ROOT / f"{paper.replace('.', '/')}.py")
                if any(name.startswith(f"{owner}.") for owner in papers - {paper})]
    assert len(papers) > 1
    assert not borrowed


def test_imports_that_hide_are_seen(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    hidden = tmp_path / "data" / "hidden.py"
    hidden.write_text("from .near import x\n"
                      "def f():\n    from model.cpd import CPD\n    import engine.run as r\n"
                      "    importlib.import_module('report.table')\n    __import__('eval')\n"
                      "if TYPE_CHECKING:\n    from train import main\n")
    monkeypatch.setattr(rooms, "ROOT", tmp_path)
    names = {name for name, _ in rooms.imports(hidden)}
    assert names == {"data.near.x", "model.cpd.CPD", "engine.run", "report.table", "train.main",
                     "eval"}
    assert [rooms.may_import("data", name) for name in ("utils", "losses", "model", "train")] \
        == [True, False, False, False]
    assert not rooms.may_import("metrics", "utils") and not rooms.may_import("data", "tests")


def test_the_picture_is_of_the_code_as_it_is():
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.draw(), "run python -m scripts.rooms"
