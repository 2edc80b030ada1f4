"""To transformers: a folder for `ViTMAEForPreTraining`, or for `ViTModel` when only the encoder is wanted."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from unmask.data.card import DataCard
from unmask.interop.architecture import Architecture, architecture_of
from unmask.interop.folder import Exported, about, deviations, exported, new_folder, weights, write_json, write_tensors
from unmask.interop.names import TRANSFORMERS, to_theirs
from unmask.parts.nets.transformer import EPS

BYTE = 1 / 255  # transformers' usual rescaling of 8-bit pictures


def export(
    method: nn.Module,
    folder: str | Path,
    card: DataCard | None = None,
    encoder_only: bool = False,
    information: Mapping | None = None,
) -> Exported:
    """Encoder and decoder as ViTMAEForPreTraining, or the encoder alone as ViTModel.

    Needs no transformers. LayerScale is multiplied into the weights that it scales. ViTModel never masks;
    ViTMAEModel does unless its mask ratio is set to 0. ValueError without a class token, or with a decoder on a grid
    that is not square: transformers has no place for these.
    """
    architecture = architecture_of(method, encoder_only)
    if architecture.decoder_width is None and not encoder_only:
        raise ValueError(f"{type(method).__name__} has no decoder that transformers can hold; ask for the encoder only")
    description = about(method, card, encoder_only, information)
    with new_folder(folder) as partial:
        tensors = to_theirs(weights(method, encoder_only), TRANSFORMERS, architecture)
        if encoder_only:
            tensors = {name.removeprefix("vit."): value for name, value in tensors.items()}
        write_tensors(partial / "model.safetensors", tensors, description)
        write_json(partial / "config.json", configuration(architecture, description) | {"unmask": description})
        if card is not None:
            write_json(partial / "preprocessor_config.json", preprocessing(architecture, card))
    name = "ViTModel" if encoder_only else "ViTMAEForPreTraining"
    extra = ", add_pooling_layer=False" if encoder_only else ""
    usage = f'from transformers import {name}\nmodel = {name}.from_pretrained("{folder}"{extra})\n' + (
        "tokens = model(pictures).last_hidden_state" if encoder_only else "loss = model(pictures).loss"
    )
    return exported(folder, usage, card)


def configuration(architecture: Architecture, description: Mapping) -> dict:
    """transformers' config.json."""
    height, width = architecture.image_size
    content = {
        "architectures": ["ViTModel"],
        "model_type": "vit",
        "hidden_size": architecture.width,
        "num_hidden_layers": architecture.depth,
        "num_attention_heads": architecture.heads,
        "intermediate_size": 4 * architecture.width,
        "hidden_act": "gelu",
        "layer_norm_eps": EPS,
        "image_size": height if height == width else [height, width],
        "patch_size": architecture.patch_size,
        "num_channels": architecture.channels,
        "qkv_bias": True,
        "dtype": "float32",
    }
    if architecture.decoder_width is None:
        return content
    masking = description.get("masking", {"ratio": 0.75, "normalised_targets": True})
    return content | {
        "architectures": ["ViTMAEForPreTraining"],
        "model_type": "vit_mae",
        "decoder_hidden_size": architecture.decoder_width,
        "decoder_num_hidden_layers": architecture.decoder_depth,
        "decoder_num_attention_heads": architecture.decoder_heads,
        "decoder_intermediate_size": 4 * architecture.decoder_width,
        "mask_ratio": masking["ratio"],
        "norm_pix_loss": masking["normalised_targets"],
    }


def preprocessing(architecture: Architecture, card: DataCard) -> dict:
    """transformers' preprocessor_config.json: 8-bit pictures are divided by 255 first, others are taken as stored."""
    height, width = architecture.image_size
    byte = card.dtype == "uint8"
    scale = BYTE if byte else 1.0
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": 3,
        "do_rescale": byte,
        "rescale_factor": scale,
        "do_normalize": True,
        "image_mean": [value * scale for value in card.mean],
        "image_std": [value * scale for value in deviations(card)],
    }
