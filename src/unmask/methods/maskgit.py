"""MaskGIT: learns to fill in hidden ids of a picture, and makes new pictures from hidden ids alone in a few steps.

New here: masks of every share, and decoding in parallel. The ids are those of a tokenizer that was trained before; a
transformer that sees all places, a class among them, says which ids are hidden. Decoding guesses all hidden ids at
once, keeps those it is surest of and hides the others again, few kept at first and many at the end.
Paper: H. Chang et al., "MaskGIT: Masked Generative Image Transformer", CVPR 2022, https://arxiv.org/abs/2202.04200
Reference: google-research/maskgit, libml/, nets/, inference.py (Apache-2.0; its training loop was not released)
Differs: pictures of any size, data with or without classes; a sample without a class has the hidden id in its place.
In filled-in pictures what was known stays pixel by pixel; there the seam is blurred and one more id around it hidden.
The tokenizer was taught without an adversary, see `vq_tokenizer`. `decoding_order=raster` makes the transformer causal
and decodes ids one by one, for comparison. The rate falls along a cosine after the warm-up.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, only_known
from unmask.parts.generate.parallel import ParallelDecoding
from unmask.parts.losses.smoothed import smoothed_cross_entropy
from unmask.parts.masks.regions import Region
from unmask.parts.masks.scheduled import ScheduledMask
from unmask.parts.nets.id_transformer import BertTrunk, IdEmbeddings, TiedHead
from unmask.parts.nets.pixel_range import PixelRange
from unmask.parts.nets.reading import real_places
from unmask.parts.nets.tokenizer import Tokenizer
from unmask.parts.ops.patches import patchify

CARD = Card(
    title="MaskGIT",
    paper="https://arxiv.org/abs/2202.04200",
    year=2022,
    data="image",
    hides="ids of a tokenizer, from one to all",
    predicts="ids",
    family="masked generation",
    id=92,
    claim="pictures as good as those of autoregressive decoding in far fewer steps; concave schedules are best",
    usual="ImageNet, 256 pixels, 8 steps: Frechet inception distance 6.2",
)

STAGES = {"tokenizer": "vq_tokenizer"}  # parts that are trained before, and by which method
EDITING = 2  # step of the decoding at which filling in begins, as some ids are known


class MaskGIT(Method):
    """classes: of the pictures, `pretrain` takes them from the data; 0: none. smoothing: of the labels."""

    labelled = True

    def __init__(
        self,
        encoder: BertTrunk,
        tokenizer: Tokenizer,
        mask: ScheduledMask | None = None,
        decoding: ParallelDecoding | None = None,
        pixels: PixelRange | None = None,
        image_size: int | tuple[int, int] = 256,
        classes: int = 0,
        smoothing: float = 0.1,
    ):
        super().__init__()
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        tokenizer.check(size)
        if classes < 0 or not 0 <= smoothing < 1:
            raise ValueError(f"classes {classes} may not be negative, smoothing {smoothing} must lie in [0, 1)")
        self.encoder = encoder
        self.tokenizer = tokenizer.requires_grad_(False)
        self.sampler = mask or ScheduledMask()
        self.decoding = decoding or ParallelDecoding()
        self.pixels = pixels or PixelRange()
        self.classes, self.smoothing = classes, smoothing
        self.grid = (size[0] // tokenizer.patch_size, size[1] // tokenizer.patch_size)
        self.hidden_id = tokenizer.codebook_size + classes  # the last of the vocabulary
        vocabulary, places = self.hidden_id + 1, self.grid[0] * self.grid[1]
        self.embeddings = IdEmbeddings(vocabulary, places + 1, encoder.width, encoder.dropout)
        self.head = TiedHead(vocabulary, encoder.width)
        self.region = Region()

    @property
    def causal(self) -> bool:
        return self.decoding.order == "raster"

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        ids, places = self.ids(batch), self.places(batch)
        if self.causal:
            counted = torch.ones_like(ids, dtype=torch.bool) if places is None else places
        else:
            mask = self.sampler(self, batch, context) if mask is None else mask
            counted = mask.hidden
        shown = ids if self.causal else ids.masked_fill(counted, self.hidden_id)
        scores = self.scores(shown, self.class_ids(batch, len(ids)))
        return {"ids": smoothed_cross_entropy(scores, ids, counted, self.smoothing)}

    def scores(self, ids: Int64[Tensor, "b n"], kind: Int64[Tensor, "b"]) -> Float[Tensor, "b n k"]:
        """For every place a score of every id of the vocabulary. kind: the id of the class."""
        x = self.embeddings(torch.cat([kind.unsqueeze(1), ids], 1))
        x = self.encoder(x, self.causal)
        return self.head(x[:, :-1] if self.causal else x[:, 1:], self.embeddings.words.weight)

    def ids(self, batch: Batch) -> Int64[Tensor, "b n"]:
        """The tokenizer's ids in reading order."""
        image = only_known(batch)["image"]
        if self.tokenizer.grid_of(image) != self.grid:
            raise ValueError(
                f"pictures of {image.shape[2]}x{image.shape[3]} have other ids than the {self.grid[0]}x{self.grid[1]}"
                " that this network was made for"
            )
        return self.tokenizer.ids(self.pixels(image))

    def class_ids(self, batch: Batch, count: int) -> Int64[Tensor, "b"]:
        """The id of every sample's class; the hidden id where it has none."""
        label = batch.get("label", torch.full((count,), -1, device=batch["image"].device))
        known = (label >= 0) & (label < self.classes)
        return torch.where(known, self.tokenizer.codebook_size + label, self.hidden_id)

    def places(self, batch: Batch) -> Bool[Tensor, "b n"] | None:
        """Which places hold anything real, or None when all do."""
        return real_places(self.tokenizer, batch)

    def check_sampler(self, sampler) -> None:
        """Raises ValueError for masks that are made for patches of pixels."""
        if not isinstance(sampler, ScheduledMask):
            raise ValueError("MaskGIT hides ids by its schedule; set schedule=cosine or another instead of a mask")

    @torch.no_grad()
    def complete(
        self, ids: Int64[Tensor, "b n"], kind: Int64[Tensor, "b"], generator: torch.Generator | None, first: int = 0
    ) -> Int64[Tensor, "b n"]:
        """The ids with those filled in that are hidden."""
        size = self.tokenizer.codebook_size
        return self.decoding(lambda x: self.scores(x, kind)[..., :size], ids, self.hidden_id, generator, first)

    @torch.no_grad()
    def sample(
        self, count: int, generator: torch.Generator | None = None, label: int | None = None
    ) -> Float[Tensor, "n c h w"]:
        """New pictures, standardised, of one class, or of all classes in turn."""
        if label is not None and not 0 <= label < self.classes:
            raise ValueError(f"class {label} is not one of the {self.classes} that this network knows")
        device = self.head.bias.device
        ids = torch.full((count, self.grid[0] * self.grid[1]), self.hidden_id, device=device)
        numbers = torch.arange(count, device=device) % max(self.classes, 1) if label is None else label
        kind = self.tokenizer.codebook_size + numbers * torch.ones(count, dtype=torch.long, device=device)
        return self._drawn(self.complete(ids, kind, generator))

    @torch.no_grad()
    def inpaint(
        self, batch: Batch, hidden: Bool[Tensor, "b h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The pictures, standardised, with the hidden pixels filled in."""
        image, cells = batch["image"], self._cells(hidden)
        known = image.masked_fill(hidden.unsqueeze(1), 0.0)  # what is hidden may not reach its neighbours' ids
        ids = self.ids({**batch, "image": known}).masked_fill(cells, self.hidden_id)
        made = self.complete(ids, self.class_ids(batch, len(ids)), generator, EDITING)
        return torch.where(hidden.unsqueeze(1), self._drawn(made), image)

    def reconstruct(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """What the tokenizer keeps of the pictures, standardised."""
        return self._drawn(self.ids(batch))

    def pictures(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, "b c h w"]]:
        hidden = self.region(batch, context)
        new = self.sample(len(hidden), context.generator)
        return {
            "ids alone": self.reconstruct(batch),
            "masked": batch["image"].masked_fill(hidden.unsqueeze(1), 0.0),
            "filled in": self.inpaint(batch, hidden, context.generator),
            "sample\n(not of the input)": new,
        }

    def features(self, batch: Batch) -> Features:
        """Of all ids, without the class. blocks: the mean over the places after every block."""
        ids = self.ids(batch)
        kind = torch.full_like(ids[:, :1], self.hidden_id)
        layers = self.encoder.layers(self.embeddings(torch.cat([kind, ids], 1)), self.causal)
        blocks = tuple(layer[:, 1:].float().mean(1) for layer in layers)
        return Features(blocks[-1], layers[-1][:, 1:], self.grid, blocks)

    def _drawn(self, ids: Int64[Tensor, "b n"]) -> Float[Tensor, "b c h w"]:
        return self.pixels.standardised(self.tokenizer.picture(ids, self.grid))

    def _cells(self, hidden: Bool[Tensor, "b h w"]) -> Bool[Tensor, "b n"]:
        """The places of which any pixel is hidden."""
        return patchify(hidden.unsqueeze(1).float(), self.tokenizer.patch_size).any(-1)


RECIPE = Recipe(
    optimizer="adamw",
    lr=1e-4,
    batch=256,
    epochs=300,
    warmup=1,  # 5000 steps on ImageNet
    weight_decay=0.045,
    betas=(0.9, 0.96),
    crop=(0.8, 1.0),
)


def tiny() -> tuple[MaskGIT, Batch]:
    torch.manual_seed(0)
    tokenizer = Tokenizer(codebook_size=8, latent=4, width=8, multipliers=(1, 1, 2), blocks=1)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return MaskGIT(BertTrunk("16x2x2", dropout=0.0), tokenizer, image_size=16), {"image": image}
