"""What the three scripts share: configuration, devices, weights, checkpoints, optimizers, logs.

One subject a file, imported from that file (``from utils.weights import load_weights``), so
that a script pays only for what it uses: scoring maps need not import torch.
"""
