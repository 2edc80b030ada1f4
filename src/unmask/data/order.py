"""Which sample stands where: numbers that depend on the seed and the place alone."""

import hashlib
import struct
from functools import lru_cache

import torch
from jaxtyping import Int64
from torch import Tensor


def number(*words: int | str) -> int:
    """A number of 63 bits that depends on all the words."""
    text = b"".join(w.encode() if isinstance(w, str) else struct.pack("<q", w) for w in words)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1


@lru_cache(maxsize=4)
def order(seed: int, epoch: int, n: int) -> Int64[Tensor, "n"]:
    """The order of the `n` samples in one epoch."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(number("order", seed, epoch)))


def sample_at(seed: int, position: int, n: int) -> int:
    """The sample at a running number; epochs follow each other without a gap."""
    return int(order(seed, position // n, n)[position % n])


def substitute(seed: int, position: int, attempt: int, n: int) -> int:
    """The sample that takes the place of one that cannot be read, for the attempt 1, 2, ..."""
    return number("substitute", seed, position, attempt) % n
