"""What each registered network is held against: one line for each.

``test_networks.py`` runs its tests on every line, and fails where a registered network has none.
"""

from __future__ import annotations

from typing import NamedTuple


class Released(NamedTuple):
    """What is known of a network, from its paper, its released code or its own definition.

    Attributes:
        parameters: how many the network has. Others of the released network never run.
        outputs: our name → the released code's name; "" for one that the reference outputs lack,
            ``NAME/1`` for channel 1, ``2 * NAME`` for its double.
        golden: name of the reference outputs in ``golden/models``; "" where there are none.
        tolerance: largest error of an output, in parts of its deviation. Outputs are equal bit for
            bit where the reference was made (AVX-512, two threads). On any machine, random weights
            amplify rounding: those of CPD-R by 4.2e-3 between float32 and float64 (docs/cpd.md).
            Where there are reference outputs in float64, these are compared.
        probabilities: outputs that the released code gives as probabilities.
        left_out: what loading the official checkpoint prints of tensors that never run.
        in_bf16: outputs that stay near float32 in mixed precision; all, if it is empty.
        thin: options of a thin version, which the tests with values run on, but for the reference
            outputs; its trunk is another's that is tested with values.
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
    thin: dict = {}  # noqa: RUF012
    like: str = ""


_BASNET = {"saliency": "d0", **{f"side{level}": f"d{level}" for level in range(1, 7)},
           "bridge": "d7"}
_CPD = {"saliency": "detection", "attention": "attention"}
_WSSA = {"saliency": "sal_ref", "initial": "sal_init", "edge": "edge_map"}
_GCPANET = {"saliency": "out2", "side3": "out3", "side4": "out4", "side5": "out5"}
_TRACER = {"saliency": "final", "edge": "edge", "side0": "ds0", "side1": "ds1", "side2": "ds2"}
_BGNET = {"saliency": "o1", "side2": "o2", "side3": "o3", "edge": "edge"}
_DEEPEST = ("side5",)  # SCWSSOD's other outputs are divided by a sum that may be near 0
_EDGE = ("edge",)  # TRACER thresholds channels behind it, where rounding decides

_DSS = {"saliency": "", **{f"side{level}": f"prob{level}" for level in range(6)}, "fused": "prob6"}
_EDN = {"saliency": "logits/0", **{f"side{level}": f"logits/{level}" for level in range(1, 5)}}
_EGNET = {"saliency": "up_sal_final4",
          **{f"guided{level}": f"up_sal_final{level - 1}" for level in range(1, 5)},
          **{f"side{level}": f"up_sal{4 - level}" for level in range(1, 5)}, "edge": "up_edge0"}
_F3NET = {"saliency": "pred2", "first": "pred1",
          **{f"stage{stage}": f"out{stage}h" for stage in (2, 3, 4, 5)}}
_GATENET = {"saliency": "saliency_logit", "pyramid": ""}
_HVPNET = {"saliency": "main", **{f"side{level}": f"side{level}" for level in (1, 2, 3)}}
_ICON = {"saliency": "pred4", **{f"side{level}": f"pred{level}" for level in (1, 2, 3)},
         "whole": "pose"}
_ITSD = {"saliency": "2 * final", **{f"side{level}": f"pred{level}" for level in range(5)},
         **{f"contour{level}": f"contour{level}" for level in range(5)}}
_LDF = {"saliency": "out2", "body": "outb2", "detail": "outd2", "first_saliency": "out1",
        "first_body": "outb1", "first_detail": "outd1"}
_PICANET = {"saliency": "pred5", **{f"side{level}": f"pred{level}" for level in range(5)}}
_POOLNET_JOINT = {"saliency": "sal", "edge": "edge_fuse",
                  **{f"edge{level}": f"edge{level}" for level in range(3)}}
_U2NET = {"saliency": "d0", **{f"side{level}": f"d{level}" for level in range(1, 7)}}
_RAS = {"saliency": "score1", **{f"side{level}": f"score{level}" for level in (2, 3, 4, 5)}}
_RAS_V2 = {"saliency": "score2", **{f"side{level}": f"score{level}" for level in (3, 4, 5)}}
_SAMNET = {"saliency": "main", **{f"side{level}": f"side{level}" for level in range(1, 5)}}

_NARROW = {"width": 1 / 16}
_THIN = {"trunk": "vgg16"} | _NARROW  # has a stage at 1/32, too

RELEASED = {
    "basnet": Released(87_060_360, _BASNET, "basnet", 1e-3, tuple(_BASNET), thin=_THIN),
    "bgnet": Released(77_803_714, _BGNET, "bgnet", probabilities=("edge",),
                      left_out="2 tensors (2049000 values) of resnet", thin=_THIN),
    "cpd_vgg": Released(29_232_771, _CPD, "cpd_vgg", tolerance=1e-4, thin=_NARROW),
    "cpd_resnet": Released(47_851_075, _CPD, "cpd_r"),
    "csnet_l_x1": Released(93_647, {"saliency": "saliency"}, "csnet_l_x1", 1e-3, like="csnet_l_x2"),
    "csnet_l_x2": Released(140_894, {"saliency": "saliency"}, "csnet_l_x2", 1e-3),
    "dss_vgg": Released(62_238_181, _DSS, "dss_vgg", 1e-3, tuple(_DSS),
                        in_bf16=("side0",), thin=_NARROW),
    "edn_vgg": Released(21_834_309, _EDN, "edn_vgg_logits", 1e-3, in_bf16=("saliency",),
                        thin=_NARROW),
    "egnet_resnet": Released(111_659_850, _EGNET, "egnet_resnet", 1e-3, left_out="merge1",
                             like="egnet_vgg"),
    "egnet_vgg": Released(108_035_658, _EGNET, "egnet_vgg", 1e-3, thin=_NARROW,
                          left_out="1 tensors (32768 values) of merge1"),
    "f3net": Released(25_536_710, _F3NET, "f3net", 1e-5, thin=_THIN),
    "gatenet_resnet": Released(128_629_796, _GATENET, "gatenet_resnet", 1e-3, like="gatenet_vgg"),
    "gatenet_vgg": Released(100_016_105, _GATENET | {"saliency": "saliency_probability"},
                            "gatenet_vgg", 1e-3, ("saliency",), thin=_NARROW),
    "gcpanet": Released(67_056_196, _GCPANET, "gcpanet", 1e-5, thin=_THIN),
    "hvpnet": Released(1_237_949, _HVPNET, "hvpnet", 1e-3, tuple(_HVPNET),
                       thin={"depths": (1, 0, 0)}),
    "icon_vgg": Released(19_126_233, _ICON, "icon_vgg", 1e-3, thin=_NARROW,
                         left_out="13 tensors (41475 values) of ice1, ice2, pwv"),
    "itsd_resnet": Released(26_075_640, _ITSD, "itsd_resnet", 1e-3, left_out="decoder",
                            like="itsd_vgg"),
    "itsd_vgg": Released(16_692_152, _ITSD, "itsd_vgg", 1e-3,
                         left_out="30 tensors (392360 values) of decoder"),
    "ldf": Released(25_150_147, _LDF, "ldf", 1e-5, thin=_THIN),
    "minet_res50": Released(162_378_305, {"saliency": "sal"}, "minet_res50", 1e-3,
                            like="minet_vgg16"),
    "minet_vgg16": Released(47_562_737, {"saliency": "sal"}, "minet_vgg16", 1e-3, thin=_NARROW),
    "nldf_vgg": Released(24_999_362, {"saliency": "", "half": "prob"}, "nldf_vgg", 1e-3,
                         ("half",), thin=_NARROW),
    "picanet_vgg": Released(47_218_721, _PICANET, "picanet_vgg", 1e-3, tuple(_PICANET),
                            thin=_NARROW),
    "poolnet_joint_resnet": Released(69_557_642, _POOLNET_JOINT | {"edge3": "edge3"},
                                     "poolnet_joint_resnet", 1e-3, like="poolnet_joint_vgg"),
    "poolnet_joint_vgg": Released(53_631_352, _POOLNET_JOINT, "poolnet_joint_vgg", 1e-3,
                                  thin=_NARROW),
    "poolnet_resnet": Released(68_261_057, {"saliency": "sal"}, "poolnet_resnet", 1e-3,
                               like="poolnet_vgg"),
    "poolnet_vgg": Released(52_512_705, {"saliency": "sal"}, "poolnet_vgg", 1e-3, thin=_NARROW),
    "ras_resnet": Released(24_697_989, _RAS, "ras_resnet", 1e-3, thin=_THIN),
    "ras_v2": Released(24_585_156, _RAS_V2, "ras_v2", 1e-3, thin=_THIN),
    "samnet": Released(1_330_129, _SAMNET, "samnet", 1e-5, tuple(_SAMNET),
                       thin={"depths": (0, 0, 1, 0, 1)}),
    "scrn": Released(25_226_498, {"saliency": "sal", "edge": "edge"}, "scrn", 1e-5,
                     thin=_THIN | {"units": 1}),
    "scwssod": Released(63_537_997, _GCPANET, "scwssod", in_bf16=_DEEPEST, thin=_THIN),
    "scwssod_vgg": Released(40_195_661, _GCPANET, like="scwssod"),
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
    "u2net": Released(44_009_869, _U2NET, "u2net", 1e-5, tuple(_U2NET), like="u2netp"),
    "u2netp": Released(1_131_181, _U2NET, "u2netp", 1e-5, tuple(_U2NET)),
    "wssa": Released(15_526_029, _WSSA, "wssa", 1e-3,
                     left_out="33 tensors (1270674 values) of classification, layer5, layer6, "
                              "rcab_feat"),
}
