"""PITS: a small network on every patch of a time series alone, taught to give back the patches that it sees.

New here: patches are autoencoded, not predicted from others, so that their representations are independent; what links
the patches is a contrast between two views that see complementary halves, at every scale of time.
Paper: S. Lee et al., "Learning to Embed Time Series Patches Independently", ICLR 2024,
https://arxiv.org/abs/2312.16427
Reference: seunghan96/pits, PITS_self_supervised/src/models/{PITS,losses}.py, callback/patch_mask.py (no licence
stated), where the ReLU works in place, so that the contrast sees the first layer after it: so it is here.
Differs: the reference searches its learning rate and follows one cycle of Adam without decay; here warm-up over the
same 30 epochs and a cosine, at the rate that the search begins with. Dropout is drawn from the step's generator. The
last windows of the training part, which its loader leaves out because nothing follows them, are used.
Not here: a network of its own for every channel, and a ratio that grows.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice, keep_count
from unmask.parts.losses.contrast import hierarchical_contrast
from unmask.parts.losses.masked import masked_mean
from unmask.parts.nets.linear import Linear
from unmask.parts.ops.series import instance_statistics, joined_patches, normalised, series_patches

CARD = Card(
    title="PITS",
    paper="https://arxiv.org/abs/2312.16427",
    year=2024,
    data="series",
    hides="half of the patches of every channel, the other half from a second view",
    predicts="the patches that each view sees",
    family="patch autoencoding with contrast",
    id=88,
    claim="embedding patches independently forecasts better than predicting hidden patches, with a far smaller network",
    usual="ETTh1, horizon 96, fine-tuned: mean squared error near 0.37",
)

TASKS = ("PI", "PD")
CONTRASTS = ("temporal", "instance", "both", "none")


class PatchPerceptron(nn.Module):
    """Two linear layers on every patch alone, shared by all patches and channels.

    length: rows of a window. stride: rows from patch to patch; None: patches do not overlap.
    """

    def __init__(self, length: int = 512, patch_size: int = 12, stride: int | None = None, width: int = 128):
        super().__init__()
        stride = patch_size if stride is None else stride
        if patch_size < 1 or stride < 1 or length < patch_size + stride:
            raise ValueError(
                f"a window of {length} rows has fewer than two patches of {patch_size} rows, {stride} apart; use longer"
                " windows or smaller patches"
            )
        self.length, self.patch_size, self.stride = length, patch_size, stride
        self.first = Linear(patch_size, width)
        self.second = Linear(width, width)

    def forward(self, patches: Float[Tensor, "b c n p"]) -> tuple[Float[Tensor, "b c n d"], Float[Tensor, "b c n d"]]:
        """What the first layer says of every patch, after its ReLU, and the second."""
        first = self.first(patches).relu()
        return first, self.second(first)

    def patches(self, series: Float[Tensor, "b t c"]) -> Float[Tensor, "b c n p"]:
        """The patches of the windows, each window normalised by itself."""
        return series_patches(normalised(series), self.patch_size, self.stride)


@dataclass(frozen=True, eq=False)
class View:
    """What one view sees, where its prediction counts, and the prediction, in the units of the batch."""

    name: str
    seen: Bool[Tensor, "b t c"]
    counted: Bool[Tensor, "b t c"]
    prediction: Float[Tensor, "b t c"]


class PITS(Method):
    """ratio: share of the patches that the first view does not see; the second sees just these.

    task: "PI" scores a view on the patches that it sees, "PD" on those that it does not (masked modelling).
    contrast: "temporal" between moments, "instance" between samples, "both" or "none". dropout: before the head.
    """

    def __init__(
        self,
        encoder: PatchPerceptron,
        ratio: float = 0.5,
        task: str = "PI",
        contrast: str = "temporal",
        dropout: float = 0.2,
    ):
        super().__init__()
        check_choice("task", task, TASKS)
        check_choice("contrast", contrast, CONTRASTS)
        keep_count(1000, ratio)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        self.encoder, self.ratio, self.task, self.contrast, self.dropout = encoder, ratio, task, contrast, dropout
        self.head = Linear(encoder.second.out_features, encoder.patch_size)

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        patches = self.encoder.patches(batch["series"])
        mask = self.mask(patches, context) if mask is None else mask
        reconstruction, firsts = patches.new_zeros(()), []
        for seen in (~mask.hidden, mask.hidden):
            first, second = self.encoder(patches * seen.unsqueeze(-1))
            error = (self.head(self._dropped(second, context)).float() - patches.float()).square().mean(-1)
            reconstruction = reconstruction + masked_mean(error, seen if self.task == "PI" else ~seen)
            firsts.append(first.transpose(1, 2).flatten(2))
        terms = {"reconstruction": reconstruction}
        if self.contrast != "none":
            temporal, instance = (self.contrast in (kind, "both") for kind in ("temporal", "instance"))
            terms["contrast"] = hierarchical_contrast(firsts[0], firsts[1], temporal, instance)
        return terms

    def mask(self, patches: Float[Tensor, "b c n p"], context: Context) -> Mask:
        """Which patches of every channel the first view does not see."""
        n = patches.shape[2]
        noise = context.uniform(*patches.shape[:3], device=patches.device)
        return Mask.from_scores(noise, keep_count(n, self.ratio))

    def features(self, batch: Batch) -> Features:
        """tokens: every patch of every channel. pooled: the largest value over patches, channel after channel."""
        layers = self.encoder(self.encoder.patches(batch["series"]))
        blocks = tuple(layer.amax(2).flatten(1) for layer in layers)
        c, n = layers[-1].shape[1:3]
        return Features(blocks[-1], layers[-1].flatten(1, 2), (c, n), blocks)

    @torch.no_grad()
    def views(self, batch: Batch, context: Context) -> list[View]:
        """Both views of a batch, for looking at."""
        series, encoder = batch["series"], self.encoder
        mean, deviation = instance_statistics(series)
        patches = encoder.patches(series)
        hidden = self.mask(patches, context).hidden
        shown = []
        for name, seen in (("first view", ~hidden), ("second view", hidden)):
            prediction = self.head(encoder(patches * seen.unsqueeze(-1))[1])
            rows = joined_patches(prediction, encoder.stride, series.shape[1]) * deviation + mean
            where, counted = (
                joined_patches(x.unsqueeze(-1).expand_as(patches).float(), encoder.stride, series.shape[1]) > 0
                for x in (seen, seen if self.task == "PI" else ~seen)
            )
            shown.append(View(name, where, counted, rows))
        return shown

    def _dropped(self, x: Float[Tensor, "b c n d"], context: Context) -> Float[Tensor, "b c n d"]:
        if not self.training or not self.dropout:
            return x
        kept = context.uniform(*x.shape, device=x.device) >= self.dropout
        return x * kept / (1 - self.dropout)


RECIPE = Recipe(
    optimizer="adamw",
    lr=4e-4,  # the reference's 1e-4 at batches of 64
    batch=64,
    epochs=100,
    warmup=30,
    weight_decay=0.0,
    betas=(0.9, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[PITS, Batch]:
    generator = torch.Generator().manual_seed(0)
    series = torch.randn(4, 26, 2, generator=generator).cumsum(1)
    return PITS(PatchPerceptron(26, 6, width=16)), {"series": series}
