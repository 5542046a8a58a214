"""What test.py leaves beside its maps."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from utils.origin import MapsOrigin, origin_of


def test_kept_maps_of_other_weights_are_counted(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"weights")
    config = SimpleNamespace(name="trial", paper="", data=SimpleNamespace(root="datasets"))
    origin = MapsOrigin(tmp_path / "best.pt", config, torch.device("cpu"))
    folder = tmp_path / "maps/exact/TINY-TE"
    origin.begin(folder, kept=3)
    assert not origin_of(folder)["finished"]
    origin.end(folder)
    assert origin_of(folder)["finished"] and origin_of(folder)["kept"] == 3
    origin.begin(folder, kept=4)  # by the same weights, so still those three
    assert origin_of(folder)["kept"] == 3
    origin.entry["sha256"] = "another"
    origin.begin(folder, kept=4)
    assert origin_of(folder)["kept"] == 4
