"""To timm: a folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` opens."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from unmask.data.card import DataCard
from unmask.interop.architecture import Architecture, architecture_of
from unmask.interop.folder import Exported, about, deviations, exported, new_folder, weights, write_json, write_tensors
from unmask.interop.names import TIMM, to_theirs
from unmask.parts.nets.vit import SHAPES

BYTE = 255.0  # timm divides 8-bit pictures by it before it standardises


def export(
    method: nn.Module, folder: str | Path, card: DataCard | None = None, information: Mapping | None = None
) -> Exported:
    """The encoder as a timm VisionTransformer of any grid, patch and channels. timm has no decoder for it.

    card: the data card, whose mean and standard deviation become timm's data configuration.
    Needs no timm. The pooled output of the model is the mean over patches, as in `features`.
    """
    architecture = architecture_of(method, encoder_only=True)
    description = about(method, card, True, information)
    with new_folder(folder) as partial:
        tensors = to_theirs(weights(method, encoder_only=True), TIMM, architecture)
        write_tensors(partial / "model.safetensors", tensors, description)
        write_json(partial / "config.json", configuration(architecture, card) | {"unmask": description})
    usage = (
        "import timm\n"
        f'model = timm.create_model("local-dir:{folder}", pretrained=True)  # num_classes=N adds a new head\n'
        "tokens = model.forward_features(pictures); pooled = model(pictures)"
    )
    return exported(folder, usage, card)


def configuration(architecture: Architecture, card: DataCard | None = None) -> dict:
    """timm's config.json: an entry point, the arguments that override it, and how pictures are prepared."""
    height, width = architecture.image_size
    scale = BYTE if card is not None and card.dtype == "uint8" else 1.0
    zeros, ones = [0.0] * architecture.channels, [1.0] * architecture.channels
    arguments = {
        "img_size": [height, width],
        "patch_size": architecture.patch_size,
        "in_chans": architecture.channels,
        "embed_dim": architecture.width,
        "depth": architecture.depth,
        "num_heads": architecture.heads,
        "class_token": architecture.class_token,
        "global_pool": "avg",
        "fc_norm": False,
    }
    if architecture.layer_scale:
        arguments["init_values"] = 1.0
    return {
        "architecture": entry_point(architecture),
        "num_classes": 0,
        "num_features": architecture.width,
        "global_pool": "avg",
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [architecture.channels, height, width],
            "num_classes": 0,
            "fixed_input_size": True,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "mean": zeros if card is None else [value / scale for value in card.mean],
            "std": ones if card is None else [value / scale for value in deviations(card)],
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }


def entry_point(architecture: Architecture) -> str:
    """The name in timm of the preset of this shape, or of ViT-Base, which the arguments then override."""
    for name, shape in SHAPES.items():
        if tuple(shape) == (architecture.width, architecture.depth, architecture.heads):
            return f"{name}_patch{14 if name == 'vit_huge' else 16}_224"
    return "vit_base_patch16_224"
