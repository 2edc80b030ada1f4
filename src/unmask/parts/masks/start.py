"""When a mask that depends on the model may begin."""

import torch

from unmask.core import Batch, Context, Mask
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.relations import attention_rollout, exploitation

START_RULES = ("fraction", "epoch", "exploitation")
WATCHED = 16  # images on which the exploitation rates are measured


class Start:
    """When guidance begins.

    rule: after the `fraction` of the training, at an `epoch`, or as soon as the decoder builds its output more
        from mask tokens than from visible ones ("exploitation", measured every `check_every` steps).
    """

    def __init__(self, rule: str = "fraction", fraction: float = 0.125, epoch: float = 50, check_every: int = 50):
        if rule not in START_RULES:
            raise ValueError(f"start rule {rule!r} is unknown; choose one of {', '.join(START_RULES)}")
        if not 0 <= fraction <= 1:
            raise ValueError(f"start fraction {fraction} is not a share of the training; choose a number in [0, 1]")
        self.rule = rule
        self.fraction = fraction
        self.epoch = epoch
        self.check_every = check_every

    def due(self, model, batch: Batch, context: Context, mask: Mask) -> bool:
        if self.rule == "fraction":
            return context.progress >= self.fraction
        if self.rule == "epoch":
            return context.epoch >= self.epoch
        return context.step % self.check_every == 0 and exploits_mask_tokens(model, batch, mask)


@torch.no_grad()
def exploits_mask_tokens(model, batch: Batch, mask: Mask) -> bool:
    """Whether masked outputs are built more from mask tokens than from visible tokens, over all decoder layers."""
    record = Record(attention=True)
    few = {key: value[:WATCHED] for key, value in batch.items()}
    lengths = None if mask.lengths is None else mask.lengths[:WATCHED]
    model.predict(few, Mask(mask.hidden[:WATCHED], mask.order[:WATCHED], mask.count, lengths), record)
    visible, hidden, _ = exploitation(attention_rollout(record.maps), mask.hidden[:WATCHED], model.encoder.prefix)
    difference = (hidden - visible).mean()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(difference)
    return bool(difference > 0)
