"""MFM: takes low or high frequencies away from a picture and predicts those.

New here: the corruption and the loss. The encoder sees the whole corrupted picture, without any mask token, so it
may be a transformer or a convolutional network; a linear layer predicts the picture, whose spectrum is compared where
frequencies were taken away. Taking away resolution, sharpness or cleanness instead is a setting, `corruption_kind`.
Paper: J. Xie et al., "Masked Frequency Modeling for Self-Supervised Visual Pre-Training", ICLR 2023,
https://arxiv.org/abs/2206.07706
Reference: Jiahao000/MFM, models/{mfm,frequency_loss}.py, data/{data_mfm,random_degradations}.py (S-Lab License 1.0)
Differs: the radius follows the size of the pictures, 16 at 224 pixels. Blur is an isotropic Gaussian of deviation 5 and
noise Gaussian of deviation 75, as in the released configurations; the other kernels and the Poisson noise that its
code knows, weights of the loss and a deeper decoder, none of which they use, are left out. The configuration of
ResNet-50 keeps low frequencies of 0.3 of the pictures (`corruption_low`), with batches of the same recipe. Positions
are fixed; the released ones are learned (`positions`), also one for the class token. Padding is filled with the data's
mean and counts as predicted without error.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, only_known
from unmask.parts.losses.spectral import spectral_distance
from unmask.parts.masks.corruption import Corruption
from unmask.parts.nets.backbone import Backbone
from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.pixel_range import PixelRange
from unmask.parts.nets.reading import read_stages, read_tokens, real_places
from unmask.parts.nets.transformer import initialise
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.frequencies import filtered, spectrum
from unmask.parts.ops.patches import patch_grid, unpatchify

CARD = Card(
    title="MFM",
    paper="https://arxiv.org/abs/2206.07706",
    year=2023,
    data="image",
    hides="low or high frequencies of the whole picture",
    predicts="the missing frequencies",
    family="corrupted whole pictures",
    id=112,
    claim="predicting missing frequencies pretrains transformers and convolutional networks without mask tokens",
    usual="ImageNet, fine-tuned, 300 epochs: ViT-B 83.1 (resolution 82.4, blur 81.7, noise 82.7), ResNet-50 78.5",
)


class MFM(Method):
    """corruption: what is taken away. power: of the distance between Fourier coefficients."""

    encoder: Any

    def __init__(
        self,
        encoder: Backbone | ViT | ConvNet,
        corruption: Corruption | None = None,
        pixels: PixelRange | None = None,
        power: float = 1.0,
    ):
        super().__init__()
        self.encoder = encoder
        self.corruption = corruption or Corruption()
        self.pixels = pixels or PixelRange()
        self.power = power
        self.stride = encoder.strides[-1] if isinstance(encoder, ConvNet) else self.encoder.patch_size
        self.head = Linear(self.encoder.width, self.stride**2 * self.encoder.channels)
        initialise(self.head)

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        if mask is not None:
            raise ValueError("MFM corrupts whole pictures and takes no mask of places")
        batch = only_known(batch)
        corrupted, removed = self.corrupted(batch, context)
        restored, image = self.restored(corrupted), batch["image"].float()
        if "image_valid" in batch:
            restored = torch.where(batch["image_valid"].unsqueeze(1), restored, image)
        distance = spectral_distance(spectrum(restored), spectrum(image), removed, self.power)
        return {"spectrum": distance}

    def corrupted(self, batch: Batch, context: Context) -> tuple[Batch, Tensor | None]:
        """The batch with corrupted pictures, standardised, and the frequencies that were taken away, if known."""
        values, removed = self.corruption(self.pixels(batch["image"]), context)
        return only_known(batch | {"image": self.pixels.standardised(values)}), removed

    def restored(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """What the network makes of pictures, standardised."""
        image = batch["image"]
        if isinstance(self.encoder, ConvNet):
            stages = self.encoder(image, self.encoder.active(image, None, batch.get("image_valid")))
            places = stages[-1].flatten(2).transpose(1, 2)
        else:
            places = self.encoder(image, places=real_places(self.encoder, batch))[:, self.encoder.prefix :]
        h, w = image.shape[-2:]
        cells = self.encoder.patch_size // self.stride
        rows, columns = (side * cells for side in patch_grid(h, w, self.encoder.patch_size))
        return unpatchify(self.head(places).float(), (rows, columns), self.stride)[..., :h, :w]

    def pictures(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, "b c h w"]]:
        batch = only_known(batch)
        corrupted, removed = self.corrupted(batch, context)
        shown = {"corrupted": corrupted["image"], "prediction": self.restored(corrupted)}
        if removed is not None:
            both = filtered(batch["image"].float(), ~removed) + filtered(shown["prediction"], removed)
            shown["kept + predicted\nfrequencies"] = both
        return shown

    def features(self, batch: Batch) -> Features:
        return (
            read_stages(self.encoder, batch) if isinstance(self.encoder, ConvNet) else read_tokens(self.encoder, batch)
        )


RECIPE = Recipe(
    optimizer="adamw",
    lr=1.5e-4,  # 3e-4 per 512 samples
    batch=2048,
    epochs=300,
    warmup=20,
    weight_decay=0.05,
    betas=(0.9, 0.95),
    clip=3.0,
    crop=(0.2, 1.0),
)


def tiny() -> tuple[MFM, Batch]:
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return MFM(Backbone("16x2x2", image_size=16, patch_size=4), Corruption(radius=3)), {"image": image}
