"""The digest of a run's pairs."""

from __future__ import annotations

import pytest

from data.fingerprint import fingerprint
from data.pairing import Pair
from utils.images import UnreadableError
from utils.world import World


def test_a_link_to_a_missing_image_is_named_as_such(tmp_path):
    path = tmp_path / "a.jpg"
    path.symlink_to("gone.jpg")
    with pytest.raises(UnreadableError, match=r"a\.jpg: .*a link to a file that is missing"):
        fingerprint([Pair("a", path)], World())
