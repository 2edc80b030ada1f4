"""Filling our networks as a reference was filled: the formulas' numbers under the names of the reference."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from formulas import formula_weights

VIT = (  # ours, and what most vision transformers call it
    ("encoder.class_token", "cls_token"),
    ("encoder.embed.", "patch_embed.proj."),
    ("encoder.trunk.", ""),
    (".attention.qkv.", ".attn.qkv."),
    (".attention.out.", ".attn.proj."),
    (".mlp.0.", ".mlp.fc1."),
    (".mlp.2.", ".mlp.fc2."),
)


def replaced(name: str, pairs) -> str:
    for ours, theirs in pairs:
        name = name.replace(ours, theirs)
    return name


def fill(method: nn.Module, rename: Callable[[str], str], shapes: dict | None = None) -> dict[str, Tensor]:
    """Gives every trained parameter its formula; returns the parameters under the names of the reference.

    shapes: those that the reference lays out otherwise, beside the convolution that embeds patches.
    """
    ours = {rename(name): parameter for name, parameter in method.named_parameters() if parameter.requires_grad}
    encoder = method.encoder
    layout = {name: tuple(p.shape) for name, p in ours.items()} | (shapes or {})
    for name in layout:
        if name.endswith("patch_embed.proj.weight"):
            layout[name] = (encoder.width, encoder.channels, encoder.patch_size, encoder.patch_size)
    values = formula_weights(layout)
    with torch.no_grad():
        for name, parameter in ours.items():
            value = values[name].permute(0, 2, 3, 1) if name.endswith("patch_embed.proj.weight") else values[name]
            parameter.copy_(value.reshape(parameter.shape))
    return ours
