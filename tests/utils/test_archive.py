"""Damage in torch's files is found by their checksums."""

from __future__ import annotations

import pytest
import torch

from engine.checkpoint import load_latest, save_checkpoint
from utils.archive import damage_of, is_archive
from utils.config import default_config
from utils.errors import UserError
from utils.weights import read_file


def test_any_flipped_bit_is_found_or_changes_nothing(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.arange(40.0)}, path)
    assert is_archive(path) and damage_of(path) == ""
    whole, silent = path.read_bytes(), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        if not is_archive(path) or damage_of(path):
            continue
        silent += 1  # in the padding between records, or a date
        try:
            content = read_file(path)
        except UserError:
            continue
        assert torch.equal(content["a"], torch.arange(40.0)), place
    assert silent < len(whole) * 0.8


def test_a_zeroed_block_and_a_cut_are_found(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": {"w": torch.rand(5000)}}, default_config())
    whole = path.read_bytes()
    start = whole.rfind(b"/data/0", 0, len(whole) // 2) + 1000
    path.write_bytes(whole[:start] + bytes(512) + whole[start + 512:])
    with pytest.raises(UserError, match=r"last\.pt .*damaged \(the checksum of archive/data/0"):
        read_file(path)
    for content in (whole[:-100], b"", whole[:10]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"no checkpoint can be gone on(.|\n)*last\.pt is da"):
            load_latest(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_files_without_checksums_are_read(tmp_path):
    path = tmp_path / "weights.pth"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(3)}, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_file(path)["a"].tolist() == [1, 1, 1]
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    assert read_file(path)["a"].tolist() == [1, 1, 1]
