"""When a mask that depends on the model may begin."""

import torch
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask, check_choice
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.processes import gathered
from unmask.parts.ops.relations import attention_rollout, exploitation

START_RULES = ("fraction", "epoch", "exploitation")
WATCHED = 16  # images on which the exploitation rates are measured


class Start(nn.Module):
    """When guidance begins.

    rule: after the `fraction` of the training, at an `epoch`, or at the "exploitation" crossing: as soon as the
        decoder builds its output more from mask tokens than from visible ones, after visible ones have led (in an
        untrained decoder mask tokens lead because they are more). Measured every `check_every` steps.
    """

    visible_led: Tensor

    def __init__(self, rule: str = "fraction", fraction: float = 0.125, epoch: float = 50, check_every: int = 50):
        super().__init__()
        check_choice("start rule", rule, START_RULES)
        if not 0 <= fraction <= 1:
            raise ValueError(f"start fraction {fraction} is not a share of the training; choose a number in [0, 1]")
        self.rule = rule
        self.fraction = fraction
        self.epoch = epoch
        self.check_every = check_every
        self.register_buffer("visible_led", torch.tensor(False))

    def due(self, model, batch: Batch, context: Context, mask: Mask) -> bool:
        if self.rule == "fraction":
            return context.progress >= self.fraction
        if self.rule == "epoch":
            return context.epoch >= self.epoch
        if context.step % self.check_every:
            return False
        lead = mask_token_lead(model, batch, mask)
        if model.training:
            self.visible_led |= lead < 0
        return bool(self.visible_led) and lead > 0


@torch.no_grad()
def mask_token_lead(model, batch: Batch, mask: Mask) -> float:
    """The share of masked outputs that mask tokens build, minus that of visible tokens, over all decoder layers."""
    record = Record(attention=True)
    few = {key: value[:WATCHED] for key, value in batch.items()}
    lengths = None if mask.lengths is None else mask.lengths[:WATCHED]
    model.predict(few, Mask(mask.hidden[:WATCHED], mask.order[:WATCHED], mask.count, lengths), record)
    visible, hidden, _ = exploitation(attention_rollout(record.maps), mask.hidden[:WATCHED], model.encoder.prefix)
    return float(gathered(hidden - visible).mean())
