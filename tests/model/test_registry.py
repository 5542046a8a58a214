"""Building networks by name, and what their base class gives them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import model
from model.objectives import TableObjective
from utils.config import load_config
from utils.errors import UserError
from utils.paths import CONFIGS
from utils.weights import load_backbone


def test_unknown_names_and_options_are_errors():
    with pytest.raises(UserError, match="did you mean 'cpd_vgg'"):
        model.build("cpd_vg")
    with pytest.raises(UserError, match="depth"):
        model.build("cpd_vgg", depth=19)
    with pytest.raises(UserError, match="avg"):
        model.build("cpd_vgg", pool="median")


@pytest.mark.parametrize("name, options, message", [
    ("ras_resnet", {"trunk": 50}, "trunk is a name such as vgg16, not 50"),
    ("minet_vgg16", {"trunk": None}, "trunk is a name such as vgg16, not None"),
    ("u2net", {"widths": [8, 16]}, "'u2net' does not take these options"),
    ("u2net", {"widths": {}}, "'u2net' does not take these options")])
def test_options_of_another_kind_are_errors(name, options, message):
    with pytest.raises(UserError, match=message), torch.device("meta"):
        model.build(name, **options)


class NamesOnly(model.Network):
    """A network of which only the names matter."""

    released_keys = {r"head(\d)\.": r"decoder.\1.", r"(decoder\.\d)\.conv\.": r"\1.weigh."}  # noqa: RUF012

    def forward(self, image):
        return {"saliency": image[:, :1]}


def test_released_keys_are_renamed_at_their_beginning_row_after_row():
    network = NamesOnly()
    assert network.released_key("head3.conv.bias") == "decoder.3.weigh.bias"
    assert network.released_key("other.head3.conv.bias") == "other.head3.conv.bias"


def test_two_different_trunks_each_take_their_own_file(runs):
    network = NamesOnly()
    with pytest.raises(UserError, match="no trunk"):
        load_backbone(network)
    network.pair = nn.ModuleList([model.trunks.build("vgg16", [["conv1"]]),
                                  model.trunks.build("resnet50", [["stem"]])])
    assert list(network.trunks()) == ["pair.0", "pair.1"]
    for trunk, file in zip(network.trunks().values(),
                           ("vgg16-397923af.pth", "resnet50-0676ba61.pth"), strict=True):
        own = trunk.state_dict()
        torch.save({theirs: torch.ones_like(own[ours])
                    for ours, theirs in trunk.imagenet_keys().items()}, runs / file)
    lines = load_backbone(network)
    assert "vgg16-397923af.pth, 4 tensors" in lines and "resnet50-0676ba61.pth, 6 tensors" in lines
    assert all((value == 1).all() for value in network.state_dict().values())
    with pytest.raises(UserError, match="one file does not fit: vgg16, resnet50"):
        load_backbone(network, str(runs / "vgg16-397923af.pth"))
    with pytest.raises(UserError, match=r"backbone=null: file not found\. It is imagenet, none "):
        load_backbone(model.build("cpd_vgg", width=0.0625), "null")


def test_every_network_is_a_network():
    for name in model.names():
        assert issubclass(model.network_class(name), model.Network)


def test_only_networks_that_want_them_are_given_the_statistics():
    statistics = ["data.mean=[0.5,0.4,0.3]", "data.std=[0.1,0.2,0.3]"]
    with torch.device("meta"):
        model.from_recipe(load_config(CONFIGS / "cpd_vgg.yaml", statistics))  # takes none
    network = model.from_recipe(load_config(CONFIGS / "wssa.yaml", [
        *statistics, "model.options.width=0.0625"]))
    assert network.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])


def test_sizes_that_a_network_does_not_take_are_refused():
    for name, size, message in (("nldf_vgg", 320, "352×352 pixels, not 320×320"),
                                ("dss_vgg", 250, "multiples of 32 pixels, not 250×250")):
        config = load_config(CONFIGS / f"{name}.yaml", [f"data.size={size}"])
        with pytest.raises(UserError, match=message), torch.device("meta"):
            model.from_recipe(config)


def test_outputs_are_looked_for_at_a_size_that_the_network_takes():
    class Fixed(torch.nn.Module):
        fixed_side, smallest_side = 96, 64

        def forward(self, image):
            assert image.shape[-2:] == (96, 96)
            return {"saliency": image[:, :1]}

    model.require_outputs(Fixed(), TableObjective({"saliency": {"bce": 1}}))
