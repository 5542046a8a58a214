"""What each registered network is held against: one line for each.

``test_networks.py`` runs its tests on every line, and fails where a registered network has none.
"""

from __future__ import annotations

from typing import NamedTuple


class Released(NamedTuple):
    """What is known of a network, from its paper, its released code or its own definition.

    Attributes:
        parameters: how many the network has. Others of the released network never run.
        outputs: our name → the released code's name.
        golden: name of the reference outputs in ``golden/models``; "" where there are none.
        tolerance: largest error of an output, in parts of its deviation. Outputs are equal bit for
            bit where the reference was made (AVX-512, two threads). On any machine, random weights
            amplify rounding: those of CPD-R by 4.2e-3 between float32 and float64 (docs/cpd.md).
        probabilities: outputs that the released code gives as probabilities.
        left_out: what loading the official checkpoint prints of tensors that never run.
        in_bf16: outputs that stay near float32 in mixed precision; all, if it is empty.
        options: to trace and export with, where the released way leaves torch.
        like: a network of the same class that is tested with values in this one's place; this one,
            which differs in its trunk and in widths, is tested with shapes, and with values where
            there are reference outputs.
    """

    parameters: int
    outputs: dict[str, str]
    golden: str = ""
    tolerance: float = 1e-2
    probabilities: tuple[str, ...] = ()
    left_out: str = ""
    in_bf16: tuple[str, ...] = ()
    options: dict = {}  # noqa: RUF012
    like: str = ""


_CPD = {"saliency": "detection", "attention": "attention"}
_WSSA = {"saliency": "sal_ref", "initial": "sal_init", "edge": "edge_map"}
_SCWSSOD = {"saliency": "out2", "side3": "out3", "side4": "out4", "side5": "out5"}
_TRACER = {"saliency": "final", "edge": "edge", "side0": "ds0", "side1": "ds1", "side2": "ds2"}
_BGNET = {"saliency": "o1", "side2": "o2", "side3": "o3", "edge": "edge"}
_DEEPEST = ("side5",)  # SCWSSOD's other outputs are divided by a sum that may be near 0
_EDGE = ("edge",)  # TRACER thresholds channels behind it, where rounding decides

RELEASED = {
    "bgnet": Released(77_803_714, _BGNET, "bgnet", probabilities=("edge",),
                      left_out="2 tensors (2049000 values) of resnet"),
    "cpd_vgg": Released(29_232_771, _CPD, "cpd_vgg", tolerance=1e-4),
    "cpd_resnet": Released(47_851_075, _CPD, "cpd_r"),
    "scwssod": Released(63_537_997, _SCWSSOD, "scwssod", in_bf16=_DEEPEST),
    "scwssod_vgg": Released(40_195_661, _SCWSSOD, like="scwssod"),
    "tracer_te0": Released(7_453_090, _TRACER, "tracer0", 2e-2, tuple(_TRACER), in_bf16=_EDGE),
    "tracer_te1": Released(9_958_726, _TRACER, like="tracer_te0"),
    "tracer_te2": Released(11_085_364, _TRACER, like="tracer_te0"),
    "tracer_te3": Released(14_015_462, _TRACER, like="tracer_te0"),
    "tracer_te4": Released(20_705_138, _TRACER, like="tracer_te0"),
    "tracer_te5": Released(31_303_954, _TRACER, like="tracer_te0"),
    "tracer_te6": Released(43_470_822, _TRACER, like="tracer_te0"),
    "tracer_te7": Released(66_266_806, _TRACER, like="tracer_te0"),
    "tracer_resnet50": Released(25_279_334, _TRACER, like="tracer_te0"),
    "tracer_vgg": Released(19_567_846, _TRACER, like="tracer_te0"),
    "wssa": Released(15_526_029, _WSSA, "wssa", 1e-3, options={"canny": "torch"},
                     left_out="33 tensors (1270674 values) of classification, layer5, layer6, "
                              "rcab_feat"),
}
