"""Tokens of every block of a frozen encoder."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unmask.core import Batch, Method
from unmask.evaluate.features import represent


def trunk_blocks(method: Method) -> list[nn.Module]:
    """The blocks of the method's encoder, first one first, or nothing where it has no `encoder.trunk.blocks`."""
    trunk = getattr(getattr(method, "encoder", None), "trunk", None)
    return list(getattr(trunk, "blocks", ()))


def block_tokens(
    method: Method, batch: Batch, device: torch.device | str = "cpu", precision: str | None = None
) -> tuple[list[Tensor], tuple[int, ...]]:
    """Tokens [b n d] after every block, without class tokens, and the grid on which they lie.

    Those before the last are brought to unit scale, since the encoder's own final norm is not made for them. A
    network whose features do not run `encoder.trunk.blocks` gives its last tokens alone.
    """
    caught: list[Tensor] = []
    blocks = trunk_blocks(method)
    handles = [block.register_forward_hook(lambda module, given, result: caught.append(result)) for block in blocks]
    try:
        features = represent(method, batch, device, precision)
    finally:
        for handle in handles:
            handle.remove()
    if features.tokens is None:
        raise ValueError(f"{type(method).__name__} has no tokens, only one vector per sample; use knn or linear")
    n = features.tokens.shape[1]
    earlier = [F.layer_norm(x[:, -n:].float(), x.shape[-1:]) for x in caught[:-1][-(len(blocks) - 1) :]]
    return [*earlier, features.tokens.float()], features.grid


def patch_side(method: Method) -> int:
    """The side of a patch in pixels."""
    for owner in (getattr(method, "encoder", None), method):
        side = getattr(owner, "patch_size", None)
        if isinstance(side, int):
            return side
    raise ValueError(f"{type(method).__name__} does not say the `patch_size` of its tokens, so they cannot be placed")


class Shuffled:
    """Batches with their rows mixed anew in every pass, as far as they fit into memory.

    Rows are held until `memory` bytes are full, mixed and given out; what fits as a whole is read once only.
    """

    def __init__(self, batches, batch: int, memory: int, generator: torch.Generator):
        self.batches = batches
        self.batch = batch
        self.memory = memory
        self.generator = generator
        self.whole: dict[str, Tensor] | None = None

    def __iter__(self) -> Iterator[Batch]:
        if self.whole is not None:
            yield from self._mixed(self.whole)
            return
        held: list[Batch] = []
        room, windows = self.memory, 0
        for batch in self.batches:
            held.append(batch)
            room -= sum(value.nbytes for value in batch.values())
            if room < 0:
                yield from self._mixed(_join(held, windowed=True))
                held, room, windows = [], self.memory, windows + 1
        if held:
            rest = _join(held, windowed=windows > 0)
            self.whole = None if windows else rest
            yield from self._mixed(rest)

    def _mixed(self, rows: Batch) -> Iterator[Batch]:
        order = torch.randperm(len(rows["label"]), generator=self.generator)
        for chosen in order.split(self.batch):
            yield {key: value[chosen] for key, value in rows.items()}


def _join(batches: list[Batch], windowed: bool) -> Batch:
    if any("image_valid" in batch for batch in batches):  # a batch without it is valid everywhere
        batches = [{"image_valid": torch.ones_like(b["image"][:, 0], dtype=torch.bool), **b} for b in batches]
    rows = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
    if windowed and len(rows["label"]) > 1 and len(rows["label"].unique()) == 1:
        raise ValueError(
            f"{len(rows['label'])} samples in a row are of one class and no more fit into memory; "
            "give the training batches in random order or raise `memory`"
        )
    return rows
