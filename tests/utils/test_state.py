"""Finding the weights in what people save: under any key, with any prefix, or not at all."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from utils.errors import UserError
from utils.state import Reading, Wanted, all_finite, read_state

OURS = {"trunk.conv.weight": (2, 3), "trunk.norm.running_mean": (3,), "head.bias": (1,)}
WANTED = {key: torch.empty(shape) for key, shape in OURS.items()}


def saved(prefix: str = "", value: float = 1.0) -> dict[str, Tensor]:
    return {f"{prefix}{key}": torch.full(shape, value) for key, shape in OURS.items()}


def read(content: dict, **how) -> Reading:
    return read_state(content, [Wanted(WANTED)], "a.pth", **how)


def assert_whole(reading: Reading, value: float = 1.0) -> None:
    assert not reading.misfits
    assert reading.state.keys() == WANTED.keys()
    for key, shape in OURS.items():
        assert torch.equal(reading.state[key], torch.full(shape, value)), key


WRAPPERS = [
    ("net", lambda state: {"net": state, "epoch": 3}),
    ("a name of one's own", lambda state: {"a name of one's own": state}),
    ("params_ema", lambda state: {"params_ema": state, "iter": torch.tensor(3)}),
    ("model.params", lambda state: {"model": {"params": state, "lr": 0.1}, "epoch": 3}),
    ("state_dict", lambda state: {"state_dict": state, "epoch": 3, "optimizer": {
        "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2, 3)}},
        "param_groups": [{"lr": 0.1, "params": [0]}]}}),
    ("generator", lambda state: {"generator": state, "discriminator": {"w": torch.zeros(3)}}),
]


@pytest.mark.parametrize("where, wrap", WRAPPERS, ids=[where for where, _ in WRAPPERS])
def test_weights_are_recognised_under_any_key(where, wrap, capsys):
    assert_whole(read(wrap(saved())))
    assert capsys.readouterr().err == f"note: a.pth: weights under {where}\n"


@pytest.mark.parametrize("prefix", ["".join(parts) for parts in itertools.permutations(
    ("module.", "_orig_mod.", "model.", "net."), 2)] + ["module.", "anything.at.all."])
def test_a_prefix_that_all_keys_share_is_removed(prefix, capsys):
    assert_whole(read({"state_dict": saved(prefix)}))
    assert capsys.readouterr().err == \
        f"note: a.pth: weights under state_dict, prefix {prefix} removed\n"


def test_a_prefix_that_most_keys_share_is_removed_from_these(capsys):
    content = saved("model.") | {"loss.weight": torch.zeros(3)}
    reading = read(content, partial=True)
    assert reading.matches == len(OURS) and reading.misfits == 1
    assert "prefix model. removed from" in capsys.readouterr().err
    assert read(content).misfits == 1  # which the error names alone
    both = saved("student.") | saved("teacher.", 2.0)
    assert read(both, partial=True).matches == 0  # neither of two is preferred
    clash = saved("module.") | {"head.bias": torch.zeros(4)}
    assert read(clash).misfits > 1  # nor does a key take another's place


def test_parts_that_wrappers_put_into_some_keys_are_removed(capsys):
    renamed = {"trunk.conv.weight": "net.trunk.module.conv.weight",
               "trunk.norm.running_mean": "net.module.trunk._orig_mod.norm.running_mean",
               "head.bias": "net.head.bias"}
    assert_whole(read({renamed[key]: value for key, value in saved().items()}))
    assert "module and _orig_mod removed from keys, prefix net. removed" in capsys.readouterr().err


def test_a_prefix_that_the_file_lacks_is_added(capsys):
    wanted = {f"features.{key}": value for key, value in WANTED.items()}
    reading = read_state(saved(), [Wanted(wanted)], "a.pth")
    assert not reading.misfits and reading.state.keys() == wanted.keys()
    assert "prefix features. added" in capsys.readouterr().err


def test_counters_and_numbers_are_left_out_and_counted(capsys):
    state = saved("module.") | {f"module.{name}": torch.zeros(1, dtype=torch.float64) for name in
                                ("total_ops", "total_params", "trunk.conv.total_ops")}
    state |= {"module.n_averaged": torch.tensor(5), "epoch": 3, "best": 0.1}
    assert_whole(read({"ema": state}))
    assert capsys.readouterr().err == (
        "note: a.pth: weights under ema, prefix module. removed, 2 entries that are no tensors "
        "left out (epoch, best), 4 counters total_ops/total_params/n_averaged left out\n")


def test_counters_of_batches_that_old_files_lack_are_zero(capsys):
    wanted = WANTED | {"trunk.norm.num_batches_tracked": torch.tensor(7)}
    reading = read_state(saved(), [Wanted(wanted)], "a.pth")
    assert not reading.misfits and reading.state["trunk.norm.num_batches_tracked"] == 0
    assert "1 counters num_batches_tracked, which it lacks, are 0" in capsys.readouterr().err


def test_of_several_mappings_the_one_that_fits_is_taken(capsys):
    other = saved() | {"head.bias": torch.zeros(5)}
    assert_whole(read({"state_dict": other, "ema": saved(value=2.0)}), 2.0)
    assert "weights under ema" in capsys.readouterr().err


def test_if_two_mappings_fit_both_are_named_and_the_key_chooses():
    content = {"params": saved(), "nested": {"params_ema": saved("module.", 2.0)}}
    with pytest.raises(UserError, match=r"a\.pth holds several .*: params, nested\.params_ema\. "
                       r".*weights\.key=nested\.params_ema"):
        read(content)
    assert_whole(read(content, key="params"))
    assert_whole(read(content, key="nested.params_ema"), 2.0)
    with pytest.raises(UserError, match=r"weights\.key=ema; there are under params, nested\."):
        read(content, key="ema")


def test_of_a_checkpoint_of_ours_the_networks_weights_are_taken(capsys):
    content = {"network": saved(), "config": {}, "average": {
        "n_averaged": torch.tensor(3), **saved("module.", 2.0)}}
    assert_whole(read(content))
    assert capsys.readouterr().err == "note: a.pth: weights under network\n"  # not the average
    assert_whole(read(content, key="average"), 2.0)
    capsys.readouterr()
    del content["average"]
    assert_whole(read(content))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("change, misfits", [
    (lambda state: state | {"surplus": torch.zeros(1)}, 1),
    (lambda state: {key: state[key] for key in list(state)[1:]}, 1),
    (lambda state: state | {"trunk.conv.weight": torch.zeros(3, 2)}, 1),
    (lambda state: {f"other.{key}": torch.zeros(9) for key in state}, 3),
])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_what_does_not_fit_is_not_made_to_fit(change, misfits, prefix):
    state = {f"{prefix}{key}": value for key, value in change(saved()).items()}
    assert read({"net": state}).misfits == misfits


def test_two_keys_do_not_become_one():
    state = saved() | {"module.head.bias": torch.zeros(1)}
    assert read(state).misfits == 1
    collapsing = Wanted(WANTED, rename=lambda key: key.replace("second", "head"))
    assert read_state(saved() | {"second.bias": torch.zeros(1)}, [collapsing], "a.pth").misfits


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"a": {"b": {"c": saved()}}}, {"a": [1]}])
def test_a_file_without_weights_lists_its_keys(content):
    with pytest.raises(UserError, match="no mapping of tensors; its keys are") as error:
        read(content)
    assert (next(iter(content), "(none)")) in str(error.value)


def test_of_mappings_that_do_not_fit_at_all_the_largest_is_held_against_the_network():
    content = {"iter": torch.tensor(3), "net": {f"x{n}": torch.zeros(1) for n in range(9)}}
    for partial in (False, True):
        assert read(content, partial=partial).where == "net"


def test_the_nearest_mapping_is_read_in_part_but_not_if_two_are():
    near = {key: value for key, value in saved().items() if key != "head.bias"}
    content = {"far": {"x": torch.zeros(2)}, "near": near}
    assert read(content, partial=True).where == read(content).where == "near"
    with pytest.raises(UserError, match="several sets of weights that fit: near, ema"):
        read(content | {"ema": near}, partial=True)


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.float16, torch.bfloat16, torch.float32,
                                   torch.float64])
def test_values_are_finite_up_to_the_greatest_of_their_type(dtype):
    assert all_finite(torch.tensor([0, torch.finfo(dtype).min, torch.finfo(dtype).max],
                                   dtype=torch.float64).to(dtype))
    for wrong in (torch.nan, torch.inf, -torch.inf):
        assert not all_finite(torch.tensor([0, wrong, 1]).to(dtype)), wrong


def test_whole_numbers_and_no_numbers_are_finite():
    assert all_finite(torch.tensor([-3, 2**62])) and all_finite(torch.empty(0, 3))
    assert all_finite(torch.tensor([True, False]))
    assert all_finite(torch.tensor([0, 65535], dtype=torch.uint16))
