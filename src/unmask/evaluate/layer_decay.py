"""Parameter groups whose learning rate falls from the head towards the input."""

import re

from torch import nn

WITHOUT_DECAY = ("class_token", "positions", "mask_token")


def layer_of(name: str, depth: int) -> int:
    """The layer of an encoder's parameter by its name.

    0: embedding, positions, class token; i + 1: `trunk.blocks.i`; depth + 1: what follows the blocks.
    """
    block = re.search(r"(?:^|\.)trunk\.blocks\.(\d+)\.", name)
    if block:
        return int(block.group(1)) + 1
    return depth + 1 if re.search(r"(?:^|\.)trunk\.", name) else 0


def parameter_groups(encoder: nn.Module, head: nn.Module, decay: float, weight_decay: float) -> list[dict]:
    """Groups for an optimiser, each with "scale": decay ** (depth + 1 - layer), which is 1 for the head.

    Vectors, the class token and positions have no weight decay.
    Source: Bao et al. 2022 (BEiT), as in MAE's util/lr_decay.py.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"layer decay {decay} must be above 0 and at most 1; 1 trains all layers alike")
    blocks = getattr(getattr(encoder, "trunk", None), "blocks", ())
    if decay < 1 and not len(blocks):
        raise ValueError(f"{type(encoder).__name__} has no `trunk.blocks` to number; fine-tune with layer_decay=1")
    depth = len(blocks)
    groups: dict[tuple[int, float], dict] = {}
    entries = [(name, parameter, layer_of(name, depth)) for name, parameter in encoder.named_parameters()]
    entries += [(name, parameter, depth + 1) for name, parameter in head.named_parameters()]
    for name, parameter, layer in entries:
        if not parameter.requires_grad:
            continue
        plain = parameter.ndim < 2 or any(part in WITHOUT_DECAY for part in name.split("."))
        key = (layer, 0.0 if plain else weight_decay)
        fresh = {"params": [], "weight_decay": key[1], "scale": decay ** (depth + 1 - layer), "layer": layer}
        groups.setdefault(key, fresh)["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]
