"""The HTML page: scores, curves, and every image with its maps."""
