"""Every recipe's constants and reported numbers against the facts about papers and released code.

The values are written out from the facts (docs/<paper>.md names the sources), not read from the
recipes: a recipe or a default that changes fails here, and so does one that nobody wrote down.
"""

from __future__ import annotations

import math

import pytest
from omegaconf import DictConfig, OmegaConf

from utils.config import load_config
from utils.paths import CONFIGS

#: What holds for every recipe that does not say otherwise below.
SHARED = {
    "seed": 0, "model.options": {}, "weights.backbone": "imagenet", "weights.network": None,
    "loss.variant": "released", "loss.options": {}, "loss.smoothing": 0.0,
    "data.train": ["DUTS-TR"], "data.target": "mask", "data.edges": "none", "data.edge_dilate": 1,
    "data.image_resize": "pillow", "data.mask_resize": "bilinear",
    "data.scribble_resize": "nearest", "data.soft_mask": True, "data.scales": [1.0],
    "data.flip": 0.0, "data.crop": 1.0, "data.augment": "none",
    "data.mean": [0.485, 0.456, 0.406], "data.std": [0.229, 0.224, 0.225],
    "optim.name": "adam", "optim.lr": 1e-4, "optim.betas": [0.9, 0.999],
    "optim.weight_decay": 0.0, "optim.decay_all": True, "optim.l1": 0.0,
    "optim.trunk_factor": 1.0, "optim.freeze": [], "optim.eval_norm": [],
    "optim.frozen_norm": [], "optim.warmup": 0, "optim.clip_value": None, "optim.clip_norm": None,
    "train.steps": None, "train.ema": 0.0, "train.patience": None, "train.accumulate": 1,
    "train.sync_norm": False, "train.max_skipped": 0,
    "val.data": [], "val.fraction": 0.0, "val.every": 1,
    "test.minmax": True, "test.resize": "logits", "test.statistics": "recipe",
    "test.precision": "fp32",
}
CPD = {  # wuzhe71/CPD @ e7373b4: train.py, data.py, test_CPD.py
    "loss.terms": {"attention": {"bce": 1}, "saliency": {"bce": 1}}, "data.size": 352,
    "train.batch": 10, "train.epochs": 99,
    "optim.clip_value": 0.5, "optim.schedule": "compounding", "optim.gamma": 0.1,
    "optim.drop_every": 50,
    "test.data": ["ECSSD", "PASCAL-S", "HKU-IS", "DUT-OMRON", "DUTS-TE"]}
WSSA = {  # JingZhang617/Scribble_Saliency @ 4709407
    "loss.terms": {}, "data.target": "scribble", "data.edges": "auto", "data.soft_mask": False,
    "data.size": 352, "train.batch": 10, "train.epochs": 30, "optim.clip_value": 0.5,
    "optim.schedule": "compounding", "optim.gamma": 0.9, "optim.drop_every": 20,
    "test.data": ["ECSSD", "DUT-OMRON", "PASCAL-S", "HKU-IS", "THUR15K", "DUTS-TE"]}
SCWSSOD = {  # siyueyu/SCWSSOD @ f865056; mean and deviation of DUTS, of 255
    "loss.terms": {}, "data.target": "scribble", "data.soft_mask": False, "data.size": 320,
    "data.image_resize": "opencv", "data.flip": 0.5,
    "data.mean": [124.55 / 255, 118.90 / 255, 102.94 / 255],
    "data.std": [56.77 / 255, 55.97 / 255, 57.50 / 255],
    "train.batch": 16, "train.epochs": 40, "optim.name": "sgd", "optim.lr": 1e-2,
    "optim.trunk_factor": 0.1, "optim.momentum": 0.9, "optim.nesterov": True,
    "optim.weight_decay": 5e-4, "optim.schedule": "triangular", "test.statistics": "per_set",
    "test.data": ["ECSSD", "DUT-OMRON", "PASCAL-S", "HKU-IS", "THUR15K", "DUTS-TE"]}
TRACER = {  # Karel911/TRACER @ 8dacecc
    "seed": 42, "loss.terms": {
        **{output: {"api": 1} for output in ("saliency", "side0", "side1", "side2")},
        "edge": {"api": 1, "target": "edge"}}, "data.edges": "mask", "data.image_resize": "opencv",
    "data.mask_resize": "nearest", "data.augment": "moves_tones_blurs",
    "train.batch": 32, "train.epochs": 100, "train.patience": 10, "optim.lr": 5e-5,
    "optim.weight_decay": 1e-4, "optim.clip_norm": 2.0, "optim.schedule": "plateau",
    "optim.gamma": 0.1, "optim.patience": 5, "optim.watch": "validation",
    "val.fraction": 0.05, "val.watch": "loss",
    "test.minmax": False, "test.resize": "probabilities",
    "test.data": ["DUTS-TE", "DUT-OMRON", "HKU-IS", "ECSSD", "PASCAL-S"]}
BGNET = {  # thograce/BGNet @ 54e412f
    "seed": 2021, "loss.terms": {
        **{output: {"structure": 1} for output in ("saliency", "side2", "side3")},
        "edge": {"dice": 3, "target": "edge"}}, "data.train": ["COD-TR"], "data.edges": "auto",
    "data.edge_dilate": 5, "data.size": 416, "data.flip": 0.5, "train.batch": 16,
    "train.epochs": 25, "optim.clip_value": 0.5, "optim.schedule": "poly_epoch",
    "optim.power": 0.9, "test.data": ["CAMO", "CHAMELEON", "COD10K", "NC4K"]}
FIVE = ["DUTS-TE", "DUT-OMRON", "HKU-IS", "ECSSD", "PASCAL-S"]
RAS = {  # ShuhanChen/RAS-pytorch @ 67ea6c3, first version
    "loss.terms": {output: {"bce": 1, "iou": 1}
                   for output in ("saliency", "side2", "side3", "side4", "side5")},
    "data.size": 352, "data.flip": 0.5, "data.augment": [{"rotate": {"p": 1, "degrees": 10}}],
    "train.batch": 10, "train.epochs": 30, "optim.lr": 5e-5, "optim.schedule": "milestones",
    "optim.milestones": [25], "optim.gamma": 0.1, "optim.restart": True,
    "test.align_corners": True, "test.data": FIVE}
RAS_V2 = {  # the same, second version; mean and deviation of DUTS, of 255
    "loss.terms": {output: {"bce": 1, "iou": 1}
                   for output in ("saliency", "side3", "side4", "side5")},
    "data.size": 352, "data.scales": [side / 352 for side in (224, 256, 288, 320, 352)],
    "data.image_resize": "opencv", "data.flip": 0.5,
    "data.augment": [{"crop_sides": {"p": 1, "smallest": 7 / 8, "largest": 1}}],
    "data.mean": [124.55 / 255, 118.90 / 255, 102.94 / 255],
    "data.std": [56.77 / 255, 55.97 / 255, 57.50 / 255],
    "train.batch": 32, "train.epochs": 32, "optim.name": "sgd", "optim.lr": 0.05,
    "optim.trunk_factor": 0.1, "optim.freeze": ["trunk.conv1"], "optim.momentum": 0.9,
    "optim.nesterov": True, "optim.weight_decay": 5e-4, "optim.schedule": "triangular",
    "test.align_corners": True, "test.data": FIVE}
MINET = {  # lartpang/MINet @ 0f4ecf7
    "loss.terms": {"saliency": {"bce": 1, "cel": 1}}, "data.size": 320, "data.flip": 0.5,
    "data.soft_mask": False, "data.mask_resize": "nearest",
    "data.augment": [{"rotate": {"p": 1, "degrees": 10}}, {"color_jitter": {
        "p": 1, "brightness": 0.1, "contrast": 0.1, "saturation": 0.1}}],
    "train.batch": 4, "train.epochs": 50, "optim.name": "sgd", "optim.lr": 1e-3,
    "optim.momentum": 0.9, "optim.nesterov": False, "optim.weight_decay": 5e-4,
    "optim.decay_all": False, "optim.schedule": "poly_epoch", "optim.power": 0.9,
    "test.minmax": False, "test.resize": "nearest", "test.data": FIVE}
GATENET = {  # Xiaoqi-Zhao-DLUT/GateNet-RGB-Saliency @ 35b3f3f; 37.9 epochs of 2639 batches
    "loss.terms": {"saliency": {"bce": 1}, "pyramid": {"bce": 1}}, "data.size": 384,
    "data.flip": 0.5, "data.soft_mask": False, "data.mask_resize": "nearest",
    "data.augment": MINET["data.augment"], "train.batch": 4, "train.epochs": 38,
    "train.steps": 100_000, "optim.name": "sgd", "optim.lr": 1e-3, "optim.bias_factor": 2.0,
    "optim.momentum": 0.9, "optim.weight_decay": 5e-4, "optim.decay_bias": False,
    "optim.schedule": "poly", "optim.power": 0.9, "test.minmax": False,
    "test.resize": "nearest", "test.data": FIVE}
EDN = {  # yuhuan-wu/EDN @ 59c4e56: scripts/train.sh; 4 batches of 6; 30 times at each size
    "loss.terms": {output: {"bce": 1, "batch_dice": 1}
                   for output in ("saliency", "side1", "side2", "side3", "side4")},
    "data.size": 384, "data.scales": [320 / 384, 352 / 384, 1.0], "data.image_resize": "opencv",
    "data.soft_mask": False, "data.mask_resize": "nearest", "data.augment": [
        {"crop_sides": {"smallest": 31 / 32, "largest": 1}}, "vertical_flip"],
    "train.batch": 4 * 6, "train.accumulate": 4, "train.epochs": 3 * 30, "optim.lr": 5e-5,
    "optim.betas": [0.9, 0.99], "optim.weight_decay": 1e-4, "optim.schedule": "poly",
    "optim.power": 0.9, "optim.warmup": 200, "test.minmax": False,
    "test.resize": "probabilities", "test.data": FIVE}
EGNET = {  # JXingZhao/EGNet @ 5e1b933: ten images of batch 1, whose masks are not resized
    "loss.terms": {
        **{output: {"bce_sum": 1} for output in (
            "saliency", "guided1", "guided2", "guided3", "guided4",
            "side1", "side2", "side3", "side4")},
        "edge": {"balanced_bce_sum": 1, "target": "edge"}},
    "data.size": 384, "data.channels": "bgr", "data.range": 255,
    "data.mean": [104.00699, 116.66877, 122.67892], "data.std": [1, 1, 1], "data.flip": 0.5,
    "data.mask_resize": "nearest", "data.edges": "mask", "train.batch": 10,
    "train.accumulate": 10, "train.epochs": 30, "optim.weight_decay": 5e-4,
    "optim.schedule": "milestones", "optim.milestones": [16, 25], "optim.gamma": 0.1,
    "optim.restart": True, "test.minmax": False, "test.data": FIVE}
BALANCED = {"balanced_bce_sum": 1, "target": "edge"}
POOLNET = {  # backseason/PoolNet @ 16b77d9; Caffe's input; size: ours, the code takes native ones
    "loss.terms": {"saliency": {"bce_sum": 1}}, "data.size": 384, "data.flip": 0.5,
    "data.channels": "bgr", "data.range": 255, "data.mean": [104.00699, 116.66877, 122.67892],
    "data.std": [1.0, 1.0, 1.0], "train.batch": 10, "train.accumulate": 10, "train.epochs": 24,
    "optim.lr": 1e-4, "optim.weight_decay": 5e-4, "optim.schedule": "milestones",
    "optim.milestones": [16], "optim.restart": True, "test.minmax": False,
    "test.data": ["DUTS-TE", "DUT-OMRON", "HKU-IS", "ECSSD", "PASCAL-S"]}
POOLNET_RESNET = {"optim.lr": 5e-5, "optim.eval_norm": ["all"], "optim.frozen_norm": ["all"]}
POOLNET_JOINT = {
    "loss.terms": {"saliency": {"bce_sum": 1},
                   **dict.fromkeys(("edge", "edge0", "edge1", "edge2"), BALANCED)},
    "data.edges": "mask", "train.epochs": 11, "optim.milestones": [9]}
DSS = {  # AceCoooool/DSS-pytorch @ 0f6dd91
    "loss.terms": {output: {"bce": 1} for output in (
        "side0", "side1", "side2", "side3", "side4", "side5", "fused")},
    "data.train": ["MSRA-B"], "data.soft_mask": False, "data.size": 256, "train.batch": 8,
    "train.epochs": 500, "optim.lr": 1e-6, "optim.clip_norm": 1.0, "test.minmax": False,
    "test.resize": "probabilities", "test.align_corners": True, "test.data": POOLNET["test.data"]}
NLDF = DSS | {  # AceCoooool/NLDF-pytorch @ 7c4a5dd
    "loss.terms": {"half": {"bce": 1, "area_dice": 1, "shrink": "mean"}}, "data.size": 352,
    "data.mean": [123.68 / 255, 116.779 / 255, 103.939 / 255], "data.std": [1.0, 1.0, 1.0]}
ITSD = {  # moothes/ITSD-pytorch @ 7635e7f; sizes 256, 288, 320; crops of 1 in 1.1
    "loss.terms": {}, "data.size": 288, "data.scales": [256 / 288, 1.0, 320 / 288],
    "data.flip": 0.5, "data.augment": [
        {"crop_sides": {"p": 0.1, "smallest": 0.909, "largest": 0.909}}],
    "data.mean": [0.485, 0.458, 0.407], "train.batch": 8, "train.epochs": 25,
    "optim.name": "sgd", "optim.lr": 1e-2, "optim.trunk_factor": 0.1, "optim.momentum": 0.9,
    "optim.nesterov": False, "optim.weight_decay": 5e-4, "optim.schedule": "milestones",
    "optim.milestones": [19], "test.minmax": False, "test.resize": "bicubic",
    "test.data": POOLNET["test.data"]}
PICANET = {  # Ugness/PiCANet-Implementation @ 8771854; 2638.25 iterations of 4 in an epoch
    "loss.terms": {"saliency": {"bce": 1}, **{
        output: {"bce": weight, "shrink": "max"} for output, weight in (
            ("side4", 0.8), ("side3", 0.8), ("side2", 0.5), ("side1", 0.5), ("side0", 0.5))}},
    "data.size": 224, "data.flip": 0.5, "data.mean": [0.0, 0.0, 0.0],
    "data.std": [1.0, 1.0, 1.0], "data.augment": [
        {"crop_sides": {"p": 1.0, "smallest": 224 / 256, "largest": 224 / 256}}],
    "train.batch": 4, "train.epochs": 20, "optim.name": "sgd", "optim.lr": 1e-2,
    "optim.trunk_factor": 0.1, "optim.momentum": 0.9, "optim.nesterov": False,
    "optim.weight_decay": 5e-4, "optim.clip_norm": 100.0, "optim.schedule": "milestones",
    "optim.milestones": [round(drop * 7000 * 4 / 10553) for drop in range(1, 8)],
    "optim.restart": True, "test.minmax": False, "test.data": POOLNET["test.data"]}
RECIPES = {
    "cpd_vgg": CPD, "cpd_resnet": CPD, "wssa": WSSA, "scwssod": SCWSSOD, "scwssod_vgg": SCWSSOD,
    "bgnet": BGNET,
    "ras_resnet": RAS, "ras_v2": RAS_V2, "minet_vgg16": MINET, "minet_res50": MINET,
    "gatenet_vgg": GATENET, "gatenet_resnet": GATENET, "edn_vgg": EDN,
    "egnet_vgg": EGNET | {"optim.lr": 2e-5}, "egnet_resnet": EGNET | {
        "optim.lr": 5e-5, "optim.eval_norm": ["all"], "optim.frozen_norm": ["all"]},
    **{f"tracer_te{number}": TRACER | {"data.size": size} for number, size in enumerate(
        (320, 320, 352, 384, 448, 512, 576, 640))},
    "tracer_resnet50": TRACER | {"data.size": 352}, "tracer_vgg": TRACER | {"data.size": 320},
    "poolnet_vgg": POOLNET, "poolnet_resnet": POOLNET | POOLNET_RESNET,
    "poolnet_joint_vgg": POOLNET | POOLNET_JOINT,
    "poolnet_joint_resnet": POOLNET | POOLNET_RESNET | POOLNET_JOINT | {
        "loss.terms": POOLNET_JOINT["loss.terms"] | {"edge3": BALANCED}},
    "dss_vgg": DSS, "nldf_vgg": NLDF, "itsd_vgg": ITSD,
    "itsd_resnet": ITSD | {"optim.eval_norm": ["trunk"], "optim.frozen_norm": ["trunk"]},
    "picanet_vgg": PICANET,
    "demo": {  # ours, as README describes it
        "model.name": "cpd_vgg", "model.options": {"width": 0.25}, "weights.backbone": "none",
        "loss.terms": CPD["loss.terms"], "data.train": ["SAMPLE-TR"], "data.size": 96,
        "data.flip": 0.5,
        "data.soft_mask": False, "optim.lr": 1e-3, "optim.clip_value": 0.5,
        "optim.schedule": "constant", "train.batch": 8, "train.epochs": 11, "train.log_every": 32,
        "train.precision": "fp32",
        "val.fraction": 0.125, "val.every": 2, "test.data": ["SAMPLE-TE"], "test.batch": 16},
}
#: Recipe → its reported numbers: protocol, whether they were verified, a word of the source,
#: measures; then a row of printed numbers for each data set.
REPORTED = {
    "cpd_vgg": """
        cpd yes README maxF MAE
        ECSSD .936 .040
        PASCAL-S .866 .074
        HKU-IS .924 .033
        DUT-OMRON .794 .057
        DUTS-TE .864 .043
        minet yes MINet F wF E Sm
        ECSSD .914 .894 .943 .910
        PASCAL-S .832 .806 .884 .843
        HKU-IS .896 .881 .952 .904
        DUT-OMRON .745 .715 .868 .818
        DUTS-TE .813 .801 .908 .867""",
    "cpd_resnet": """
        cpd yes README maxF MAE
        ECSSD .939 .037
        PASCAL-S .864 .072
        HKU-IS .925 .034
        DUT-OMRON .797 .056
        DUTS-TE .865 .043
        minet yes MINet F wF E Sm
        ECSSD .917 .898 .949 .918
        PASCAL-S .831 .803 .887 .847
        HKU-IS .891 .876 .952 .906
        DUT-OMRON .747 .719 .873 .825
        DUTS-TE .805 .795 .904 .869
        adaptive yes F3Net F E MAE
        THUR15K .738 .829 .068""",
    "wssa": """
        adaptive yes author MAE
        ECSSD .061
        minet yes A2S-v2 F E
        ECSSD .870 .917
        DUT-OMRON .703 .845
        PASCAL-S .785 .855
        HKU-IS .860 .932
        DUTS-TE .742 .869
        minet yes UDASOD Sm wF MAE
        ECSSD .865 .835 -
        DUT-OMRON .785 .669 .068
        PASCAL-S .796 .736 .094
        HKU-IS .865 .831 .047
        DUTS-TE .803 .709 .062
        minet yes Hybrid maxF Sm MAE
        ECSSD .871 - -
        PASCAL-S .788 - -
        HKU-IS .864 - -
        THUR15K .736 .800 .077
        DUTS-TE .755 - -""",
    "scwssod": """
        adaptive yes abstract F E MAE
        ECSSD .8995 .9079 .0489
        adaptive yes A2S-v2 F E MAE
        DUT-OMRON .758 .862 .060
        HKU-IS .896 - .038
        DUTS-TE .823 .890 .049""",
    "bgnet": """
        cod yes CSU Sm meanE wF MAE
        CAMO .812 .870 .749 .073
        COD10K .831 .901 .722 .033
        NC4K .851 .907 .788 .044""",
    "ras_resnet": """
        adaptive yes README E Sm F MAE
        ECSSD .925 .921 .917 .036
        HKU-IS .952 .912 .904 .031
        DUTS-TE .900 .881 .826 .038
        DUT-OMRON .874 .837 .765 .053""",
    "ras_v2": """
        adaptive yes README E Sm F MAE
        ECSSD .928 .925 .923 .034
        HKU-IS .952 .915 .906 .030
        DUTS-TE .901 .884 .831 .037
        DUT-OMRON .872 .836 .763 .055""",
    "minet_vgg16": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .877 .823 .813 .912 .875 .039
        DUT-OMRON .794 .741 .719 .864 .822 .057
        HKU-IS .932 .906 .892 .955 .914 .030
        ECSSD .943 .922 .905 .947 .919 .036
        PASCAL-S .882 .843 .820 .898 .855 .065""",
    "minet_res50": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .884 .828 .825 .917 .884 .037
        DUT-OMRON .810 .756 .738 .873 .833 .055
        HKU-IS .935 .908 .899 .961 .920 .028
        ECSSD .947 .924 .911 .953 .925 .033
        PASCAL-S .882 .842 .821 .899 .857 .064""",
    "gatenet_resnet": """
        minet yes SALOD maxF MAE
        PASCAL-S .869 .067
        ECSSD .945 .040
        HKU-IS .933 .033
        DUTS-TE .888 .040
        DUT-OMRON .818 .055""",
    "egnet_vgg": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .877 .800 .797 .895 .878 .044
        DUT-OMRON .809 .744 .728 .864 .836 .057
        HKU-IS .927 .893 .875 .950 .910 .035
        ECSSD .943 .913 .892 .941 .919 .041
        PASCAL-S .871 .821 .798 .873 .848 .078""",
    "egnet_resnet": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .889 .815 .816 .907 .887 .039
        DUT-OMRON .815 .756 .738 .874 .841 .053
        HKU-IS .935 .901 .887 .956 .918 .031
        ECSSD .947 .920 .903 .947 .925 .037
        PASCAL-S .878 .831 .807 .879 .853 .075
        adaptive yes LDF F E MAE
        THUR15K .741 .829 .067""",
    "tracer_te0": """
        tracer no plot maxF
        DUTS-TE .896""",
    "tracer_te1": """
        tracer no plot maxF
        DUTS-TE .899
        tracer no TRACER#2 MAE
        DUTS-TE .033""",
    "tracer_te2": """
        tracer no plot maxF
        DUTS-TE .902
        tracer yes poster MAE Sm
        DUTS-TE .030 .891
        DUT-OMRON .047 .846
        HKU-IS .027 .918
        ECSSD .031 .924""",
    "tracer_te3": """
        tracer no plot maxF
        DUTS-TE .913""",
    "tracer_te4": """
        tracer no plot maxF
        DUTS-TE .921""",
    "tracer_te5": """
        tracer no plot maxF
        DUTS-TE .929""",
    "tracer_te6": """
        tracer no plot maxF
        DUTS-TE .929""",
    "tracer_te7": """
        tracer no plot maxF
        DUTS-TE .938
        tracer yes DualGazeNet MAE maxF
        DUT-OMRON .045 .849
        tracer no paperswithcode meanF Sm
        DUT-OMRON .798 .855""",
    "tracer_resnet50": """
        tracer yes poster MAE Sm
        DUTS-TE .035 .890
        DUT-OMRON .050 .845
        HKU-IS .028 .919
        ECSSD .033 .925""",
    "poolnet_resnet": """
        minet yes SALOD maxF
        PASCAL-S .863
        ECSSD .944
        HKU-IS .931
        DUTS-TE .880
        DUT-OMRON .808
        adaptive yes F3Net MAE F E
        ECSSD .039 .915 .924
        PASCAL-S .074 .822 .850
        DUTS-TE .040 .809 .889
        HKU-IS .032 .899 .949
        DUT-OMRON .056 .747 .863""",
    "dss_vgg": """
        minet yes CRF maxF F wF E Sm MAE
        DUTS-TE .825 .789 .755 .885 .824 .056
        DUT-OMRON .781 .740 .697 .844 .790 .063
        HKU-IS .916 .902 .867 .935 .878 .040
        ECSSD .899 .863 .822 .907 .873 .068
        PASCAL-S .843 .812 .762 .848 .795 .096""",
    "nldf_vgg": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .812 .739 .710 .855 .816 .065
        DUT-OMRON .753 .684 .634 .817 .770 .080
        HKU-IS .902 .872 .839 .929 .878 .048
        ECSSD .905 .878 .839 .912 .875 .063
        PASCAL-S .833 .782 .742 .842 .804 .099""",
    "itsd_resnet": """
        minet yes SALOD maxF MAE
        PASCAL-S .872 .065
        ECSSD .946 .035
        HKU-IS .935 .030
        DUTS-TE .885 .040
        DUT-OMRON .821 .059""",
    "picanet_vgg": """
        minet yes MINet maxF F wF E Sm MAE
        DUTS-TE .851 .749 .747 .865 .861 .054
        DUT-OMRON .794 .710 .691 .842 .826 .068
        HKU-IS .922 .870 .848 .938 .905 .042
        ECSSD .931 .885 .865 .926 .914 .046
        PASCAL-S .871 .804 .781 .862 .851 .077""",
}


def same(value, expected) -> bool:
    """Whether a value of a recipe is the expected one; numbers to 5e-6, as recipes round them."""
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(expected, float):
        return math.isclose(value, expected, rel_tol=1e-12, abs_tol=5e-6 if expected > 0.01 else 0)
    return value == expected and isinstance(value, bool) == isinstance(expected, bool)


def leaves(values: dict, start: str = "") -> set[str]:
    """Dotted keys of all values; ``options`` and ``terms`` are one value each."""
    keys: set[str] = set()
    for key, value in values.items():
        deeper = isinstance(value, dict) and key not in ("options", "terms")
        keys |= leaves(value, f"{start}{key}.") if deeper else {start + key}
    return keys


@pytest.fixture(params=sorted({path.stem for path in CONFIGS.glob("*.yaml")} | RECIPES.keys()))
def name(request) -> str:
    if request.param not in RECIPES:
        pytest.skip(f"the facts of {request.param} are not written into this table yet")
    return request.param


def test_constants_are_those_of_the_facts(name):
    path = CONFIGS / f"{name}.yaml"
    config = load_config(path)
    expected = {"name": name, "model.name": name} | SHARED | RECIPES[name]
    wrong = {key: OmegaConf.select(config, key) for key, value in expected.items()
             if not same(plain(OmegaConf.select(config, key)), value)}
    assert not wrong
    written = leaves(OmegaConf.to_container(OmegaConf.load(path))) - {"base", "paper", "reported"}
    assert written <= expected.keys(), "constants of the recipe that this table does not have"


def plain(value):
    """The value without OmegaConf's containers."""
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def numbers_of(table: str) -> list[tuple]:
    """Each number: data set, measure, value, digits, protocol, verified, a word of its source."""
    numbers = []
    for line in table.split("\n"):
        cells = line.split()
        if cells[1:2] in (["yes"], ["no"]):
            protocol, verified, word, *measures = cells
        elif cells:
            numbers += [(cells[0], measure, float(text), len(text) - 1, protocol,
                         verified == "yes", word)
                        for measure, text in zip(measures, cells[1:], strict=True) if text != "-"]
    return numbers


def test_reported_numbers_are_those_of_their_sources(name):
    rows: list[DictConfig] = list(load_config(CONFIGS / f"{name}.yaml").reported)
    assert all(row.source and "memory" not in row.source for row in rows)
    expected = numbers_of(REPORTED.get(name, ""))
    words = {number[:2]: number[-1] for number in expected}
    assert sorted((row.dataset, row.measure, row.value, row.digits, row.protocol, row.verified)
                  for row in rows) == sorted(number[:-1] for number in expected)
    assert [row for row in rows if words[row.dataset, row.measure] not in row.source] == []
