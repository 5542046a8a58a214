"""Every recipe's constants and reported numbers against the facts about papers and released code.

The values are written out from the facts (docs/<paper>.md names the sources), not read from the
recipes: a recipe or a default that changes fails here, and so does one that nobody wrote down.
"""

from __future__ import annotations

import math

import pytest
from omegaconf import OmegaConf

from utils.config import load_config
from utils.paths import CONFIGS

#: What holds for every recipe that does not say otherwise below.
SHARED = {
    "seed": 0, "model.options": {}, "weights.backbone": "imagenet", "weights.network": None,
    "loss.variant": "released", "loss.options": {}, "loss.smoothing": 0.0,
    "data.train": ["DUTS-TR"], "data.target": "mask", "data.edges": "none", "data.edge_dilate": 1,
    "data.body": "", "data.detail": "", "data.decoupling": "released",
    "data.image_resize": "pillow", "data.mask_resize": "bilinear",
    "data.scribble_resize": "nearest", "data.soft_mask": True, "data.scales": [1.0],
    "data.scale": "white", "data.flip": 0.0, "data.crop": 1.0, "data.augment": "none",
    "data.mean": [0.485, 0.456, 0.406], "data.std": [0.229, 0.224, 0.225],
    "optim.name": "adam", "optim.lr": 1e-4, "optim.betas": [0.9, 0.999],
    "optim.weight_decay": 0.0, "optim.no_decay": [], "optim.decay_all": True, "optim.l1": 0.0,
    "optim.trunk_factor": 1.0, "optim.freeze": [], "optim.eval_norm": [],
    "optim.frozen_norm": [], "optim.floor": 0.0,
    "optim.warmup": 0, "optim.clip_value": None, "optim.clip_norm": None,
    "train.steps": None, "train.ema": 0.0, "train.patience": None, "train.accumulate": 1,
    "train.sync_norm": False, "train.max_skipped": 0,
    "val.data": [], "val.fraction": 0.0, "val.every": 1,
    "test.minmax": True, "test.resize": "logits", "test.statistics": "recipe",
    "test.bytes": "rounded", "test.precision": "fp32",
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
    "optim.weight_decay": 5e-4, "optim.schedule": "triangular", "optim.floor": 1e-3,
    "test.statistics": "per_set",
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
    "optim.nesterov": True, "optim.weight_decay": 5e-4, "optim.schedule": "triangular_epoch",
    "test.align_corners": True, "test.data": FIVE}
F3NET = RAS_V2 | {  # weijun88/F3Net @ eecace3
    "loss.terms": {output: {"structure": weight} for output, weight in (
        ("first", 1 / 2), ("saliency", 1 / 2), ("stage2", 1 / 2), ("stage3", 1 / 4),
        ("stage4", 1 / 8), ("stage5", 1 / 16))},
    "optim.freeze": ["trunk.stem"], "test.minmax": False, "test.align_corners": False,
    "test.data": ["ECSSD", "PASCAL-S", "DUTS-TE", "HKU-IS", "DUT-OMRON"]}
ICON = F3NET | {  # mczhuge/ICON @ 69c05b2
    "loss.terms": {output: {"bce": 1, "iou": 1}
                   for output in ("saliency", "side1", "side2", "side3", "whole")},
    "data.channels": "bgr", "optim.freeze": ["trunk.conv1"], "optim.weight_decay": 2e-5,
    "train.batch": 8, "train.epochs": 60, "test.data": [*F3NET["test.data"], "SOD"]}
BY_MASK = {"bce": 0.5, "iou": 0.5}
LDF = F3NET | {  # weijun88/LDF @ d49ff02: train-fine
    "loss.terms": {
        f"{turn}{output}": {"bce": 0.5, "target": output} if output != "saliency" else BY_MASK
        for turn in ("first_", "") for output in ("body", "detail", "saliency")},
    "data.body": "results/ldf_coarse_body", "data.detail": "results/ldf_coarse_detail",
    "train.epochs": 40, "test.data": [*F3NET["test.data"], "THUR15K"]}
LDF_COARSE = LDF | {  # train-coarse
    "model.name": "ldf", "data.body": "", "data.detail": "", "train.epochs": 48}
GCPANET = {  # JosephChenHub/GCPANet @ 8ab0d6d; mean and deviation of DUTS
    "loss.terms": {output: {"bce": weight} for output, weight in (
        ("saliency", 1), ("side3", 0.8), ("side4", 0.6), ("side5", 0.4))},
    "data.size": 320, "data.image_resize": "opencv", "data.flip": 0.5,
    "data.augment": [{"crop_to": {"p": 1.0, "side": 288}}],
    "data.mean": SCWSSOD["data.mean"], "data.std": SCWSSOD["data.std"],
    "train.batch": 8, "train.epochs": 30, "optim.name": "sgd", "optim.lr": 0.1,
    "optim.floor": 1e-3 / 0.1, "optim.trunk_factor": 0.1, "optim.momentum": 0.9,
    "optim.nesterov": True, "optim.weight_decay": 5e-4, "optim.schedule": "triangular",
    "test.minmax": False, "test.bytes": "cut", "test.statistics": "per_set",
    "test.data": ["ECSSD", "HKU-IS", "PASCAL-S", "DUT-OMRON", "DUTS-TE"]}
SCRN = {  # wuzhe71/SCRN @ ee171ca; 30 epochs of three steps a batch, a drop after 20
    "loss.terms": {"saliency": {"bce": 1}, "edge": {"bce": 1, "target": "edge"}},
    "data.size": 352, "data.scales": [0.75, 1.0, 1.25], "data.edges": "mask_squashed",
    "train.batch": 8, "train.epochs": 3 * 30, "optim.name": "sgd", "optim.lr": 2e-3,
    "optim.momentum": 0.9, "optim.nesterov": False, "optim.weight_decay": 5e-4,
    "optim.schedule": "milestones", "optim.milestones": [3 * 20], "optim.gamma": 0.1,
    "test.align_corners": True, "test.data": [
        "ECSSD", "HKU-IS", "PASCAL-S", "DUT-OMRON", "DUTS-TE", "THUR15K"]}
MINET = {  # lartpang/MINet @ 0f4ecf7
    "loss.terms": {"saliency": {"bce": 1, "cel": 1}}, "data.size": 320, "data.flip": 0.5,
    "data.soft_mask": False, "data.mask_resize": "nearest",
    "data.augment": [{"rotate": {"p": 1, "degrees": 10}}, {"color_jitter": {
        "p": 1, "brightness": 0.1, "contrast": 0.1, "saturation": 0.1}}],
    "train.batch": 4, "train.epochs": 50, "optim.name": "sgd", "optim.lr": 1e-3,
    "optim.momentum": 0.9, "optim.nesterov": False, "optim.weight_decay": 5e-4,
    "optim.decay_bias": False, "optim.schedule": "poly_epoch", "optim.power": 0.9,
    "optim.no_decay": ["aggregate.*.bn?_?.weight", "interact.*.bn?_?.weight"],
    "test.minmax": False, "test.resize": "nearest", "test.data": FIVE}
MINET_RES50 = {"optim.no_decay": [*MINET["optim.no_decay"], "trunk.layer*.bn?.weight"]}
GATENET = {  # Xiaoqi-Zhao-DLUT/GateNet-RGB-Saliency @ 35b3f3f; 37.9 epochs of 2639 batches
    "loss.terms": {"saliency": {"bce": 1}, "pyramid": {"bce": 1}}, "data.size": 384,
    "data.flip": 0.5, "data.soft_mask": False, "data.mask_resize": "nearest",
    "data.augment": MINET["data.augment"], "train.batch": 4, "train.epochs": 38,
    "train.steps": 100_000, "optim.name": "sgd", "optim.lr": 1e-3, "optim.bias_factor": 2.0,
    "optim.momentum": 0.9, "optim.weight_decay": 5e-4, "optim.decay_bias": False,
    "optim.schedule": "poly", "optim.power": 0.9, "test.minmax": False,
    "test.resize": "nearest", "test.data": FIVE}
EDN = {  # yuhuan-wu/EDN @ 59c4e56: scripts/train.sh; 4 batches of 6; 30 times at each size
    "loss.terms": {output: {"probability_bce": 1, "batch_dice": 1}
                   for output in ("saliency", "side1", "side2", "side3", "side4")},
    "data.size": 384, "data.scales": [320 / 384, 352 / 384, 1.0], "data.image_resize": "opencv",
    "data.soft_mask": False, "data.mask_resize": "nearest", "data.mask_coding": "binary",
    "data.mask_threshold": 254, "data.augment": [
        {"crop_sides": {"smallest": 31 / 32, "largest": 1}}, "vertical_flip"],
    "train.batch": 4 * 6, "train.accumulate": 4, "train.epochs": 3 * 30, "optim.lr": 5e-5,
    "optim.betas": [0.9, 0.99], "optim.weight_decay": 1e-4, "optim.schedule": "poly",
    "optim.power": 0.9, "optim.warmup": 200, "test.minmax": False,
    "test.resize": "probabilities", "test.bytes": "cut", "test.data": FIVE}
EGNET = {  # JXingZhao/EGNet @ 5e1b933: ten images of batch 1, at their own sizes
    "loss.terms": {
        **{output: {"bce_sum": 1} for output in (
            "saliency", "guided1", "guided2", "guided3", "guided4",
            "side1", "side2", "side3", "side4")},
        "edge": {"balanced_bce_sum": 1, "target": "edge"}},
    "data.size": "native", "data.channels": "bgr", "data.range": 255,
    "data.mean": [104.00699, 116.66877, 122.67892], "data.std": [1, 1, 1], "data.flip": 0.5,
    "data.mask_resize": "nearest", "data.edges": "mask", "train.batch": 10,
    "train.accumulate": 10, "train.epochs": 30, "optim.weight_decay": 5e-4,
    "optim.schedule": "milestones", "optim.milestones": [16, 25], "optim.gamma": 0.1,
    "optim.restart": True, "test.minmax": False, "test.data": FIVE}
BALANCED = {"balanced_bce_sum": 1, "target": "edge"}
POOLNET = {  # backseason/PoolNet @ 16b77d9; Caffe's input, ten images of batch 1 at own sizes
    "loss.terms": {"saliency": {"bce_sum": 1}}, "data.size": "native", "data.flip": 0.5,
    "data.channels": "bgr", "data.range": 255, "data.mean": [104.00699, 116.66877, 122.67892],
    "data.std": [1.0, 1.0, 1.0], "train.batch": 10, "train.accumulate": 10, "train.epochs": 24,
    "optim.lr": 1e-4, "optim.weight_decay": 5e-4, "optim.schedule": "milestones",
    "optim.milestones": [16], "optim.restart": True, "test.minmax": False,
    "test.data": ["DUTS-TE", "DUT-OMRON", "HKU-IS", "ECSSD", "PASCAL-S"]}
POOLNET_RESNET = {"optim.lr": 5e-5, "optim.eval_norm": ["all"], "optim.frozen_norm": ["all"]}
POOLNET_JOINT = {
    "loss.terms": {"saliency": {"bce_sum": 1},
                   **dict.fromkeys(("edge", "edge0", "edge1", "edge2"), BALANCED)},
    "data.edge_train": ["HED-BSDS_PASCAL/bsds_pascal_train_pair_r_val_r_small.lst"],
    "data.mask_resize": "nearest", "train.epochs": 11, "optim.milestones": [9]}
DSS = {  # AceCoooool/DSS-pytorch @ 0f6dd91
    "loss.terms": {output: {"bce": 1} for output in (
        "side0", "side1", "side2", "side3", "side4", "side5", "fused")},
    "data.train": ["MSRA-B-TR"], "data.soft_mask": False, "data.size": 256, "train.batch": 8,
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
U2NET = {  # xuebinqin/U-2-Net @ ac7e1c8; 600 000 steps of 880 an epoch
    "weights.backbone": "none", "loss.terms": {
        output: {"bce": 1} for output in ("saliency", *(f"side{n}" for n in range(1, 7)))},
    "data.size": 320, "data.image_resize": "skimage_black", "data.mask_resize": "nearest",
    "data.scale": "own_max", "data.flip": 0.5, "data.augment": [
        {"vertical_flip": {"p": 0.5}}, {"crop_to": {"p": 1.0, "side": 288}}],
    "train.batch": 12, "train.epochs": 682, "train.steps": 600_000, "optim.lr": 1e-3,
    "test.resize": "bilinear", "test.bytes": "cut",
    "test.data": ["DUT-OMRON", "DUTS-TE", "HKU-IS", "ECSSD", "PASCAL-S", "SOD"]}
HYBRID = {"bce": 1, "ssim": 1, "iou": 1}
BASNET = {  # xuebinqin/BASNet @ 5639381; 400 000 steps of 1320 an epoch
    "loss.terms": dict.fromkeys(
        ("saliency", *(f"side{n}" for n in range(1, 7)), "bridge"), HYBRID),
    "loss.options": {"smooth": 0}, "data.size": 256, "data.image_resize": "skimage_black",
    "data.mask_resize": "nearest", "data.scale": "own_max", "data.flip": 0.5,
    "data.augment": [{"crop_to": {"p": 1.0, "side": 224}}], "train.batch": 8,
    "train.epochs": 304, "train.steps": 400_000, "optim.lr": 1e-3, "test.resize": "bilinear",
    "test.bytes": "cut",
    "test.data": ["SOD", "ECSSD", "DUT-OMRON", "PASCAL-S", "HKU-IS", "DUTS-TE"]}
CSNET = {  # ShangHua-Gao/SOD100K @ 2176012, CSNet_training
    "weights.backbone": "none", "loss.options": {"decay": 3.0}, "data.size": 224,
    "data.image_resize": "skimage", "data.augment": [
        {"crop_sides": {"p": 1.0, "smallest": 0.8705, "largest": 0.9955}},  # 195, 223 of 224
        {"one_of": {"of": ["flip", "vertical_flip"], "p": 0.5}}],
    "train.batch": 24, "train.epochs": 300, "train.precision": "fp32",
    "optim.lr": 1e-4, "optim.betas": [0.9, 0.99],
    "optim.weight_decay": 5e-3, "optim.no_decay": ["stages.?.?.[01].1.norms.?.weight"],
    "optim.schedule": "milestones", "optim.milestones": [200, 250], "optim.gamma": 0.1,
    "test.minmax": False, "test.resize": "skimage", "test.bytes": "cut",
    "test.data": U2NET["test.data"]}
PICANET = {  # Ugness/PiCANet-Implementation @ 8771854; 2638.25 iterations of 4 in an epoch
    "loss.terms": {"saliency": {"probability_bce": 1}, **{
        output: {"probability_bce": weight, "shrink": "max"} for output, weight in (
            ("side4", 0.8), ("side3", 0.8), ("side2", 0.5), ("side1", 0.5), ("side0", 0.5))}},
    "data.size": 224, "data.flip": 0.5, "data.mean": [0.0, 0.0, 0.0],
    "data.std": [1.0, 1.0, 1.0], "data.augment": [
        {"crop_sides": {"p": 1.0, "smallest": 224 / 256, "largest": 224 / 256}}],
    "train.batch": 4, "train.epochs": 20, "optim.name": "sgd", "optim.lr": 1e-2,
    "optim.trunk_factor": 0.1, "optim.momentum": 0.9, "optim.nesterov": False,
    "optim.weight_decay": 5e-4, "optim.clip_norm": 100.0, "optim.schedule": "milestones",
    "optim.milestones": [round(drop * 7000 * 4 / 10553) for drop in range(1, 8)],
    "optim.restart": True, "test.minmax": False, "test.data": POOLNET["test.data"]}
SAMNET = {  # yun-liu/FastSaliency @ 523b780; 336 × 2, 1.5, 1.25, .75, 1; 50 epochs of five passes
    "seed": 666, "loss.terms": {"saliency": {"probability_bce": 1}, **{
        f"side{level}": {"probability_bce": 0.4} for level in range(1, 5)}},
    "data.size": 336, "data.scales": [2.0, 1.5, 1.25, 0.75, 1.0], "data.image_resize": "opencv",
    "data.soft_mask": False, "data.mask_resize": "nearest", "data.mask_coding": "binary",
    "data.mask_threshold": 254, "data.augment": [
        {"crop_sides": {"smallest": 7 / 8, "largest": 1}}, "vertical_flip", {"color_jitter": {
            "p": 1, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}}],
    "train.batch": 20, "train.epochs": 50 * 5, "optim.lr": 5e-4, "optim.weight_decay": 1e-4,
    "optim.schedule": "poly_epoch", "optim.power": 0.9, "test.minmax": False,
    "test.resize": "probabilities", "test.bytes": "cut",
    "test.data": ["ECSSD", "DUT-OMRON", "DUTS-TE", "HKU-IS", "SOD", "THUR15K"]}
RECIPES = {
    "cpd_vgg": CPD, "cpd_resnet": CPD, "wssa": WSSA, "scwssod": SCWSSOD, "scwssod_vgg": SCWSSOD,
    "bgnet": BGNET, "f3net": F3NET, "gcpanet": GCPANET, "ldf": LDF, "ldf_coarse": LDF_COARSE,
    "basnet": BASNET, "icon_vgg": ICON, "scrn": SCRN, "ras_resnet": RAS, "ras_v2": RAS_V2,
    "minet_vgg16": MINET, "minet_res50": MINET | MINET_RES50,
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
    "picanet_vgg": PICANET, "u2net": U2NET, "u2netp": U2NET, "csnet_l_x1": CSNET,
    "csnet_l_x2": CSNET, "samnet": SAMNET, "hvpnet": SAMNET | {"loss.terms": {
        name: losses for name, losses in SAMNET["loss.terms"].items() if name != "side4"}},
    "demo": {  # ours, as README describes it
        "model.name": "cpd_vgg", "model.options": {"width": 0.25}, "weights.backbone": "none",
        "loss.terms": CPD["loss.terms"], "data.train": ["SAMPLE-TR"], "data.size": 96,
        "data.flip": 0.5,
        "data.soft_mask": False, "optim.lr": 1e-3, "optim.clip_value": 0.5,
        "optim.schedule": "constant", "train.batch": 8, "train.epochs": 11, "train.log_every": 32,
        "train.precision": "fp32",
        "val.fraction": 0.125, "val.every": 2, "test.data": ["SAMPLE-TE"], "test.batch": 16},
}
#: Licence, as the repository states it → recipe → file of the official weights. Of the others none
#: are published.
OFFICIAL = {
    "MIT": {
        "basnet": "basnet.pth", "dss_vgg": "dss_vgg/final.pth", "f3net": "f3net/model-32",
        "icon_vgg": "ICON-VGG.weight",
        "gatenet_resnet": "gatenet_resnet.pth",
        "gatenet_vgg": "gatenet_vgg.pth", "minet_res50": "MINet_Res50.pth",
        "minet_vgg16": "MINet_VGG16.pth", "picanet_vgg": "36epo_383000step.ckpt",
        "poolnet_resnet": "poolnet_resnet/final.pth",
        "poolnet_joint_resnet": "poolnet_joint_resnet/final.pth"},
    "Apache-2.0": {"bgnet": "BGNet.pth", "u2net": "u2net.pth", "u2netp": "u2netp.pth", **{
        f"tracer_te{number}": f"TRACER-Efficient-{number}.pth" for number in range(8)}},
    "CC BY-NC-SA 4.0": {"edn_vgg": "EDN-VGG16.pth", "csnet_l_x1": "csnet-L-x1.pth.tar",
                        "csnet_l_x2": "csnet-L-x2.pth.tar",
                        "hvpnet": "HVPNet_with_ImageNet_pretrain.pth",
                        "samnet": "SAMNet_with_ImageNet_pretrain.pth"},
    "no licence": {
        "cpd_resnet": "CPD-R.pth", "cpd_vgg": "CPD.pth", "egnet_resnet": "epoch_resnet.pth",
        "gcpanet": "model-100045448.pt", "ldf": "ldf/model-40",
        "itsd_resnet": "itsd_resnet/final.pkl", "itsd_vgg": "itsd_vgg/final.pkl",
        "nldf_vgg": "nldf_vgg/final.pth", "ras_resnet": "RAS.v1.pth", "ras_v2": "RAS.v2.pth",
        "scrn": "scrn/model.pth", "scwssod": "model-36.pt", "wssa": "scribble_30.pth"}}
PORTS = {"dss_vgg", "nldf_vgg", "picanet_vgg"}


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
    written = leaves(OmegaConf.to_container(OmegaConf.load(path))) - {
        "base", "official", "paper", "reported"}
    assert written <= expected.keys(), "constants of the recipe that this table does not have"
    entry, *_ = config.official
    licence, file = next(((licence, files[name]) for licence, files in OFFICIAL.items()
                          if name in files), ("", ""))
    assert (entry.licence, entry.file) == (licence, file)
    assert entry.by == ("port" if name in PORTS else "authors" if file else "none")
    assert entry.url.startswith("https://") or not file


def plain(value):
    """The value without OmegaConf's containers."""
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
