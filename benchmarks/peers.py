"""The same masked autoencoder in this library, in transformers and in lightly with timm: equal weights, equal masks.

Each arm is a function from pictures and noise to the loss, as its library's own example trains it.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unmask import create
from unmask.core import Context
from unmask.interop.architecture import architecture_of
from unmask.interop.names import MAE, to_theirs
from unmask.interop.transformers import export
from unmask.parts.masks.random import random_mask

RATIO, SIZE, PATCH = 0.75, 224, 16
PLACES = (SIZE // PATCH) ** 2


class Arm(NamedTuple):
    """One implementation: its name, its weights and its loss on (pictures, noise)."""

    name: str
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]


def own(model: str) -> Arm:
    method = create("mae", model=model, image_size=SIZE, patch_size=PATCH, ratio=RATIO)

    def loss(pictures: Tensor, noise: Tensor) -> Tensor:
        return sum(method.losses({"image": pictures}, Context(), random_mask(noise, RATIO)).values())

    return Arm("unmask", method, loss)


def transformers(first: nn.Module) -> Arm:
    """ViTMAEForPreTraining with the weights of our method."""
    from transformers import ViTMAEForPreTraining

    with tempfile.TemporaryDirectory() as folder:
        export(first, Path(folder) / "model")
        model = ViTMAEForPreTraining.from_pretrained(Path(folder) / "model", attn_implementation="sdpa").train()
    return Arm("transformers", model, lambda pictures, noise: model(pictures, noise=noise).loss)


def lightly(first: nn.Module) -> Arm:
    """The masked autoencoder of lightly's example, on timm's transformer."""
    import timm
    from lightly.models import utils
    from lightly.models.modules.masked_autoencoder_timm import MAEDecoderTIMM
    from lightly.models.modules.masked_vision_transformer_timm import MaskedVisionTransformerTIMM

    shape = architecture_of(first)
    vit = timm.models.VisionTransformer(
        img_size=SIZE, patch_size=PATCH, embed_dim=shape.width, depth=shape.depth, num_heads=shape.heads, num_classes=0
    )
    encoder = MaskedVisionTransformerTIMM(vit=vit)
    decoder = MAEDecoderTIMM(PLACES, PATCH, embed_dim=shape.width)
    theirs = to_theirs(first.state_dict(), MAE, shape)
    vit.load_state_dict({k: v for k, v in theirs.items() if k in vit.state_dict()})
    decoder.load_state_dict({k: v for k, v in theirs.items() if k in decoder.state_dict()})
    model = nn.ModuleList([encoder, decoder]).train()

    def loss(pictures: Tensor, noise: Tensor) -> Tensor:
        order = noise.argsort(dim=1)
        kept = int(PLACES * (1 - RATIO))
        seen, hidden = order[:, :kept] + 1, order[:, kept:] + 1  # the class token stands first
        seen = torch.cat([torch.zeros_like(seen[:, :1]), seen], dim=1)
        length = PLACES + 1
        embedded = decoder.embed(encoder.encode(images=pictures, idx_keep=seen))
        full = utils.repeat_token(decoder.mask_token, (len(pictures), length))
        full = utils.set_at_index(full, seen, embedded.type_as(full))
        prediction = decoder.predict(utils.get_at_index(decoder.decode(full), hidden))
        patches = utils.get_at_index(utils.patchify(pictures, PATCH), hidden - 1)
        return F.mse_loss(prediction, utils.normalize_mean_var(patches))

    return Arm("lightly", model, loss)


def arms(model: str) -> Iterator[Arm]:
    """This library's arm and those of the peers that are installed; the others are named and skipped."""
    first = own(model)
    yield first
    for peer in (transformers, lightly):
        try:
            yield peer(first.model)
        except ImportError as error:
            print(f"{peer.__name__} is skipped: {error.name} is not installed; pip install 'unmask[bench]' brings it")


def check_equal(found: list[Arm], batch: int = 2) -> dict[str, float]:
    """The loss of every arm in float32 on the same pictures and masks; raises where one differs."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(batch, 3, SIZE, SIZE, generator=generator)
    noise = torch.rand(batch, PLACES, generator=generator)
    with torch.no_grad():
        losses = {arm.name: float(arm.loss(pictures, noise)) for arm in found}
    for name, loss in losses.items():
        if abs(loss - losses[found[0].name]) > 1e-5 * abs(loss):
            raise ValueError(f"{name} computes another loss, {loss} against {losses[found[0].name]}; nothing is timed")
    return losses
