"""Which pairs a run uses, by names and contents, wherever their folders lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

from utils.images import UnreadableError
from utils.machine import cores
from utils.world import World

from .pairing import Pair


def fingerprint(pairs: Sequence[Pair], world: World) -> str:
    """A digest of the pairs' names and of their files' contents, in their order."""
    return hashlib.blake2b(b"".join(digests(pairs, world)), digest_size=16).hexdigest()


def digests(pairs: Sequence[Pair], world: World) -> list[bytes]:
    """A digest of each pair's name and of its files' contents.

    Every file is read, at a fraction of the cost of decoding it; processes share the work.
    """
    with ThreadPoolExecutor(cores()) as pool:
        mine = list(pool.map(_digest, pairs[world.rank::world.size]))
    whole: list[bytes] = [b""] * len(pairs)
    for rank, share in enumerate(world.gather(mine)):
        whole[rank::world.size] = share
    return whole


def _digest(pair: Pair) -> bytes:
    digest = hashlib.blake2b(os.fsencode(pair.name), digest_size=16)
    for part in fields(pair):
        if isinstance(path := getattr(pair, part.name), Path):
            try:
                content = hashlib.blake2b(path.read_bytes(), digest_size=16)
            except OSError as error:  # such as a link to a file that is missing
                raise UnreadableError.of(path, error) from None
            digest.update(f" {part.name} {content.hexdigest()}".encode())
    return digest.digest()
