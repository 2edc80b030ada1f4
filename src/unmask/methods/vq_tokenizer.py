"""VQ tokenizer: pictures as grids of ids of a codebook; the first stage of systems that work on ids.

New here: the codebook. An encoder gives a vector for every square of pixels, the nearest entry of the codebook stands
for it, and a decoder gives the pixels back. The gradient passes the choice straight through; vectors and entries are
drawn to each other, and an entropy keeps all entries in use. Name its run as the tokenizer of another method:
`--method maskgit --set tokenizer=RUN`.
Paper: P. Esser et al., "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021,
https://arxiv.org/abs/2012.09841
Reference: google-research/maskgit, nets/vqgan_tokenizer.py, libml/losses.py, configs/vqgan_config.py (Apache-2.0)
Differs: no perceptual term, which needs a classifier taught on ImageNet, and no adversary: squared error alone, so
pictures are softer. It is that of standardised pixels, as a share of their variance, which without those terms weighs
enough beside the codebook's. In the released code the shortcut of a block whose width changes reads the block's own
output; here its input, unless `tokenizer_shortcut=output`. The entropy is that of the batch in memory.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, only_known
from unmask.parts.losses.codebook import codebook_terms, straight_through, usage_entropy
from unmask.parts.nets.pixel_range import PixelRange
from unmask.parts.nets.tokenizer import Tokenizer

CARD = Card(
    title="VQ tokenizer",
    paper="https://arxiv.org/abs/2012.09841",
    year=2021,
    data="image",
    hides="nothing",
    predicts="pixels from ids of a codebook",
    family="first stage",
    id=0,  # a stage of 92 and others, without a number of its own
    claim="ids of a codebook keep what a picture shows; with the entropy more of its entries are in use",
    usual="ImageNet, 16x16 ids of 1024, with an adversary: Frechet inception distance of what is given back near 2",
)


class VQTokenizer(Method):
    """commitment, entropy: weights of the vectors' distance to their entries, and of the entropy of the choices.

    temperature: at which choices are soft for the entropy.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        pixels: PixelRange | None = None,
        image_size: int | tuple[int, int] = 256,
        commitment: float = 0.25,
        entropy: float = 0.1,
        temperature: float = 0.01,
    ):
        super().__init__()
        if min(commitment, entropy) < 0 or temperature <= 0:
            raise ValueError(
                f"commitment {commitment} and entropy {entropy} may not be negative, temperature {temperature} must be"
                " positive"
            )
        tokenizer.check((image_size, image_size) if isinstance(image_size, int) else image_size)
        self.tokenizer = tokenizer
        self.pixels = pixels or PixelRange()
        self.commitment, self.entropy, self.temperature = commitment, entropy, temperature

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        if mask is not None:
            raise ValueError("VQTokenizer hides nothing and takes no mask")
        batch = only_known(batch)
        raw, found = self.tokenizer.quantised(self.pixels(batch["image"]))
        again = self.tokenizer.decoder(straight_through(raw, found.values))
        error = (self.pixels.standardised(again) - batch["image"].float()).square().mean(1)
        real = batch.get("image_valid", torch.ones_like(error))
        vectors, entries = codebook_terms(raw.float(), found.values)
        return {
            "reconstruction": (error * real).sum() / real.sum().clamp(min=1),
            "commitment": self.commitment * vectors,
            "codebook": entries,
            "entropy": self.entropy * usage_entropy(found.distances, self.temperature),
        }

    def ids(self, batch: Batch) -> Tensor:
        """The ids of every picture in reading order."""
        return self.tokenizer.ids(self.pixels(only_known(batch)["image"]))

    def reconstruct(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """What is left of the pictures in their ids, standardised."""
        grid = self.tokenizer.grid_of(batch["image"])
        return self.pixels.standardised(self.tokenizer.picture(self.ids(batch), grid))

    def features(self, batch: Batch) -> Features:
        """tokens: the entries chosen for every place. pooled: their mean; before it, that of the encoder's vectors."""
        image = self.pixels(only_known(batch)["image"])
        raw, found = self.tokenizer.quantised(image)
        blocks = tuple(x.float().mean((-2, -1)) for x in (raw, found.values))
        tokens = found.values.flatten(2).transpose(1, 2)
        return Features(blocks[-1], tokens, self.tokenizer.grid_of(image), blocks)


RECIPE = Recipe(
    optimizer="adam",
    lr=1e-4,
    batch=256,
    epochs=200,  # a million steps on ImageNet
    warmup=0,
    weight_decay=0.0,
    betas=(0.0, 0.99),
    crop=(0.8, 1.0),
)


def tiny() -> tuple[VQTokenizer, Batch]:
    image = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    tokenizer = Tokenizer(codebook_size=8, latent=4, width=8, multipliers=(1, 1, 2), blocks=1)
    return VQTokenizer(tokenizer, image_size=8), {"image": image}
