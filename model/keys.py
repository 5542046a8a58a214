"""Names of tensors: the released networks' and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping


def renamed(key: str, patterns: Mapping[str, str]) -> str:
    """Our key for a released one: the first pattern that fits its beginning is replaced."""
    for pattern, ours in patterns.items():
        key, count = re.subn(f"^{pattern}", ours, key)
        if count:
            break
    return key
