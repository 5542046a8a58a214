"""The words that a recipe may choose from, with a line of help on each. ``utils.schema`` says for
which keys."""

from __future__ import annotations

OPTIMIZERS = ("adam", "adamw", "sgd")
#: Name → the factor on the learning rate; t is the share of the run that lies behind.
SCHEDULES = {
    "constant": "1",
    "step": "gamma^floor(epoch / drop_every)",
    "milestones": "gamma^(number of optim.milestones that lie behind)",
    "compounding": "times gamma^floor(epoch / drop_every) at every epoch",
    "poly": "(1 - t)^power",
    "poly_epoch": "the same, with t counted in whole epochs",
    "triangular": "1 - |2 step / (steps + 1) - 1|, from floor to 1 at half of the run and back",
    "triangular_epoch": "the same of epochs: 1 - |2 epoch / (epochs + 1) - 1|",
    "cosine": "(1 + cos(pi t)) / 2",
    "plateau": "times gamma after more than patience epochs without a smaller loss",
}
EDGES = {
    "none": "no edges",
    "auto": "files if there are any, else mask; canny for scribbles",
    "files": "files of the data set",
    "mask": "TRACER's band of two pixels around the masks",
    "mask_squashed": "the same band, drawn at the size of the input (SCRN)",
    "mask_canny": "Canny's edges of the masks",
    "canny": "Canny's edges of the images",
    "sobel": "Sobel's gradients of the images",
}
#: Those that are made of masks.
MASK_EDGES = ("mask", "mask_squashed", "mask_canny")
DECOUPLINGS = {
    "released": "LDF's code: the root of the distance to the outline of the blurred mask",
    "paper": "LDF's paper, from memory: the distance to the mask's outline",
}
MASK_CODINGS = {
    "auto": "what a sample of each set's masks tells; it is printed if it is not binary",
    "binary": "black to white; greys are kept, or cut at mask_threshold",
    "levels": "0, or black of colours, is background, all else is object",
    "palette": "the same of the indices of a palette",
    "alpha": "what is opaque is object",
    "trimap": "the numbers of mask_trimap",
}
VOIDS = {
    "error": "an error that names a file",
    "background": "they are background",
    "foreground": "they are foreground",
    "ignore": "they are left out of losses and scores",
}
IMAGE_RESIZES = {
    "pillow": "Pillow's, which averages what it shrinks",
    "opencv": "OpenCV's, which skips pixels",
    "skimage": "scikit-image's, which skips pixels and does not round; mirrored at the border",
    "skimage_black": "the same, black beyond the border",
}
SCALES = {
    "white": "by white, 255",
    "own_max": "by their own greatest value, soft masks too",
}
RESIZES = {
    "logits": "logits, bilinearly",
    "probabilities": "probabilities, bilinearly",
    "skimage": "probabilities, by scikit-image's bilinear resize",
    "nearest": "bytes, by the nearest one",
    "bilinear": "bytes, by Pillow's bilinear filter",
    "bicubic": "bytes, by Pillow's bicubic filter",
}
PRECISIONS = ("auto", "bf16", "fp16", "fp32")
BOARD = {
    "figures": "loss, rate and validation over the steps; precision, recall and F of the last one",
    "graph": "the network as torch.jit traces it; needs the package tensorboard",
    "hparams": "the settings against the last validation's scores",
    "projector": "validation images by the mean of the trunk's deepest stage, with their scores",
}
PUBLISHERS = {
    "authors": "the paper's authors",
    "port": "the authors of the port that the recipe follows",
    "none": "nobody, as far as is known",
}
