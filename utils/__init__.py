"""What all packages share: configuration, errors, paths, devices, weights, maps.

Each file has one subject and is imported by its name (``from utils.weights import load_weights``),
so that a script loads only what it uses: scoring maps does without torch.
"""
