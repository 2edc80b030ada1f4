"""Context Encoder: fills in a missing region of the picture, as true to the rest as an adversary can tell.

New here: the region and the two losses. The centre, or blobs that cover a quarter, are replaced by the mean colour; a
convolutional network gives the pixels from a code of all that is left. The squared error makes them right, an
adversary that judges the filled-in part alone makes them sharp. Where predicted pixels are also seen, in a band around
the centre, their squared error weighs ten times as much, so that the seam fits.
Paper: D. Pathak et al., "Context Encoders: Feature Learning by Inpainting", CVPR 2016, https://arxiv.org/abs/1604.07379
Reference: pathak22/context-encoder, train.lua, train_random.lua (academic, non-profit licence: facts were read)
Differs: the adversary learns after the network, on what that gives then; in the released code before, on what it gave
before. Every picture has a random region of its own, there a whole batch has one. With a random region only hidden
pixels count, as in the paper; the released code counts all (`seen=1`) or seen ones more (`seen=10`). Convolutions
have no biases, there they are set to 0 at every step. The mean colour is that of the data. The rate falls along a
cosine. Pictures of any size that can be halved; crops take half of the picture or more, there 128 of 350 pixels.
`join="channelwise"` is the paper's connected layer, here in this network and not in AlexNet. Not here: an adversary
that sees the context, and noise in the code.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Phase, Recipe, only_known
from unmask.parts.latents.adversary import being_taken_for, telling_apart
from unmask.parts.masks.regions import Region, middle
from unmask.parts.nets.dcgan import pooled
from unmask.parts.nets.halving import DoublingDecoder, HalvingEncoder, PictureAdversary
from unmask.parts.nets.pixel_range import PixelRange

CARD = Card(
    title="Context Encoder",
    paper="https://arxiv.org/abs/1604.07379",
    year=2016,
    data="image",
    hides="the centre, or blobs of no particular shape",
    predicts="pixels, judged by an adversary",
    family="inpainting",
    id=106,
    claim="an adversary makes inpainting sharper; inpainting teaches features that transfer",
    usual="VOC, AlexNet: classification 56.5, detection 44.5, segmentation 29.7",
)

BAND = 10.0  # weight of the squared error where the predicted centre is seen
ADVERSARY = "adversary"  # the phase in which only the adversary learns
RATE = 0.1  # of the adversary, in units of the network's


class ContextEncoder(Method):
    """region: what is hidden. square: weight of the squared error; the adversary has the rest, at 1 there is none.

    seen: weight of the squared error where predicted pixels are seen; None: 10 for the centre, 1 where nothing is
    hidden, else 0. decoder_width, adversary_width: of the last and of the first stage.
    """

    def __init__(
        self,
        encoder: HalvingEncoder,
        region: Region | None = None,
        pixels: PixelRange | None = None,
        square: float = 0.999,
        seen: float | None = None,
        decoder_width: int = 64,
        adversary_width: int = 64,
    ):
        super().__init__()
        if not 0 <= square <= 1:
            raise ValueError(f"square {square} is not a share of the loss; choose a number in [0, 1]")
        if seen is not None and seen < 0:
            raise ValueError(f"seen {seen} is a weight and may not be negative")
        self.encoder = encoder
        self.region = region or Region()
        self.pixels = pixels or PixelRange()
        self.square = square
        self.seen = {"centre": BAND, "none": 1.0}.get(self.region.kind, 0.0) if seen is None else seen
        size = encoder.image_size
        self.part = (slice(None), slice(None))
        if self.region.kind == "centre":
            self.region.band(size)
            self.part = middle(size)
        doublings = encoder.count - (self.region.kind == "centre")
        self.decoder = DoublingDecoder(encoder, doublings, decoder_width)
        given = (encoder.map[0] << doublings, encoder.map[1] << doublings)
        self.adversary = PictureAdversary(given, encoder.channels, adversary_width) if square < 1 else None

    def phases(self) -> list[Phase]:
        mine = [p for part in (self.encoder, self.decoder) for p in part.parameters() if p.requires_grad]
        if self.adversary is None:
            return [Phase("main", tuple(mine))]
        return [Phase("main", tuple(mine)), Phase(ADVERSARY, tuple(self.adversary.parameters()), RATE)]

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        """mask: cells to hide, instead of the region."""
        batch = only_known(batch)
        hidden = self.region(batch, context) if mask is None else self._cells(batch, mask)
        image = self._symmetric(batch)
        real = image[..., *self.part]
        if self.adversary is not None and context.phase == ADVERSARY:
            with torch.no_grad():
                made = self._filled_in(image, hidden)
            return {"telling_apart": telling_apart(self.adversary(real), self.adversary(made))}
        made = self._filled_in(image, hidden)
        weight = torch.where(hidden, 1.0, self.seen) * batch.get("image_valid", 1.0)
        error = ((made - real).square().mean(1) * weight[..., *self.part]).mean()
        terms = {"reconstruction": self.square * error}
        if self.adversary is not None:
            terms["realism"] = (1 - self.square) * being_taken_for(self.adversary(made))
        return terms

    def inpaint(self, batch: Batch, hidden: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c h w"]:
        """The pictures, standardised, with what is made of the hidden pixels in their place.

        Where the network gives the centre alone, hidden pixels elsewhere stay the mean colour.
        """
        image = self._symmetric(only_known(batch))
        found = self._covered(image, hidden)
        made = self._filled_in(image, hidden)
        found[..., *self.part] = torch.where(hidden[:, None, *self.part], made, found[..., *self.part])
        return self.pixels.standardised((found + 1) / 2)

    def pictures(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, "b c h w"]]:
        hidden = self.region(batch, context)
        image = self._symmetric(only_known(batch))
        made = torch.zeros_like(image)
        made[..., *self.part] = self._filled_in(image, hidden)
        columns = {"masked": self._covered(image, hidden), "prediction": made}
        shown = {title: self.pixels.standardised((picture + 1) / 2) for title, picture in columns.items()}
        return shown | {"visible + prediction": self.inpaint(batch, hidden)}

    def features(self, batch: Batch) -> Features:
        """Of whole pictures. blocks: the mean over the places after every stage; the code as it is."""
        maps = self.encoder.maps(self._symmetric(only_known(batch)))
        blocks = (*pooled(maps[:-1]), maps[-1].flatten(1).float())
        return Features(blocks[-1], maps[-2].flatten(2).transpose(1, 2), self.encoder.map, blocks)

    def _filled_in(self, image: Float[Tensor, "b c h w"], hidden: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c i j"]:
        """What the network gives of pictures between -1 and 1: their centre, or all of them."""
        return self.decoder(self.encoder(self._covered(image, hidden)))

    def _covered(self, image: Float[Tensor, "b c h w"], hidden: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c h w"]:
        """The mean colour, 0 before the range was changed, where something is hidden."""
        mean = 2 * image.new_tensor(self.pixels.mean(self.encoder.channels)).view(1, -1, 1, 1) - 1
        return torch.where(hidden.unsqueeze(1), mean, image)

    def _cells(self, batch: Batch, mask: Mask) -> Bool[Tensor, "b h w"]:
        """The pixels of square cells."""
        h, w = self.encoder.image_size
        side = round((h * w / mask.hidden.shape[-1]) ** 0.5)
        if self.region.kind == "centre":
            raise ValueError("this network gives the centre alone and takes no mask; set region_kind=random")
        if (h // side) * (w // side) != mask.hidden.shape[-1] or h % side or w % side:
            raise ValueError(f"a mask of {mask.hidden.shape[-1]} places does not divide {h}x{w} into squares")
        cells = mask.hidden.unflatten(-1, (h // side, w // side))
        return cells.repeat_interleave(side, 1).repeat_interleave(side, 2)

    def _symmetric(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """The pictures between -1 and 1."""
        return 2 * self.pixels(batch["image"]) - 1


RECIPE = Recipe(
    optimizer="adam",
    lr=8e-3,  # 2e-3 at batches of 64
    batch=64,
    epochs=500,
    warmup=0,
    weight_decay=0.0,
    betas=(0.5, 0.999),
    crop=(0.5, 1.0),
)


def tiny() -> tuple[ContextEncoder, Batch]:
    image = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    encoder = HalvingEncoder(16, latent=8, width=4)
    return ContextEncoder(encoder, Region("random"), decoder_width=4, adversary_width=4), {"image": image}
