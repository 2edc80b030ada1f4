"""Guided masking: the model's own patch clusters decide what to hide.

Tokens of one layer -> cosine relations -> normalised cut -> the cluster of the main object -> relevance of every
place to it -> the most relevant places are hidden -> a few hints.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask, check_choice, keep_count, only_known
from unmask.parts.masks.hints import Hints, swap_hints
from unmask.parts.masks.normalised_cut import NormalisedCut, interior, relevance_to
from unmask.parts.masks.random import seen_counts
from unmask.parts.masks.relevance_cache import RelevanceCache
from unmask.parts.masks.start import Start
from unmask.parts.nets.transformer import Record


class Guide(NamedTuple):
    """Why a mask hides what it hides.

    side: the cluster that was chosen. relevance: similarity of every place to it. hints: hidden places shown all
    the same. random: rows without a usable cut, masked at random.
    """

    side: Bool[Tensor, "b n"]
    relevance: Float[Tensor, "b n"]
    mask: Mask
    hints: Bool[Tensor, "b n"]
    random: Bool[Tensor, "b"]


class GuidedMask(nn.Module):
    """Random masking until `start`, then a mask made from the model's own embedding of the whole image.

    layer: block whose output is cut, counted from 1, or from the end if negative. network: "encoder" or "decoder".
    hide: the places most "relevant" to the cluster, or the most "irrelevant" ones (the control experiment).
    refresh: "step" makes a new mask every time; "image" makes the relevance of an image once and crops it along.
    """

    started_at: Tensor
    guided: Tensor
    fallbacks: Tensor

    def __init__(
        self,
        ratio: float = 0.75,
        layer: int = -2,
        network: str = "encoder",
        cut: NormalisedCut | None = None,
        hints: Hints | None = None,
        start: Start | None = None,
        hide: str = "relevant",
        refresh: str = "step",
    ):
        super().__init__()
        keep_count(1000, ratio)
        for value, known, name in (
            (network, ("encoder", "decoder"), "network"),
            (hide, ("relevant", "irrelevant"), "hide"),
            (refresh, ("step", "image"), "refresh"),
        ):
            check_choice(name, value, known)
        self.ratio = ratio
        self.layer = layer
        self.network = network
        self.cut = cut or NormalisedCut()
        self.hints = hints or Hints()
        self.start = start or Start()
        self.hide = hide
        self.refresh = refresh
        self.cache = RelevanceCache() if refresh == "image" else None
        self.register_buffer("started_at", torch.tensor(-1.0))
        self.register_buffer("guided", torch.tensor(0))
        self.register_buffer("fallbacks", torch.tensor(0))

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        noise = self._noise(model, batch, context)
        seen = seen_counts(noise.shape[-1], self.ratio, "floor_kept", model.places(batch))
        plain = Mask.from_scores(noise, seen, model.places(batch))
        if self.started_at < 0:
            if not self.start.due(model, batch, context, plain):
                return plain
            if model.training:
                self.started_at.fill_(context.progress)
        guide = self._guide(model, batch, context, noise)
        if model.training:
            self.guided += guide.random.shape[0]
            self.fallbacks += guide.random.sum()
        return guide.mask

    def check(self, model) -> None:
        """Raises ValueError for a model whose encoder has no tokens to cut."""
        if not hasattr(model.encoder, "trunk"):
            raise ValueError(f"a cut needs the tokens of a transformer, and {type(model).__name__} has none")

    def explain(self, model, batch: Batch, context: Context) -> Guide:
        """The guided mask of these images with its reasons, whether or not guidance has started."""
        return self._guide(model, only_known(batch), context, self._noise(model, batch, context))

    def measures(self) -> dict[str, float]:
        """What to log: when guidance started, and the share of images that had to be masked at random."""
        guided = int(self.guided)
        return {"guided_since": float(self.started_at), "unclustered": int(self.fallbacks) / guided if guided else 0.0}

    @torch.no_grad()
    def _guide(self, model, batch: Batch, context: Context, noise: Float[Tensor, "b n"]) -> Guide:
        places = model.places(batch)
        kept = self.cache is not None and model.training  # `index` counts training images, not those looked at
        side, relevance = self.cache(self._clusters, model, batch) if kept else self._clusters(model, batch)  # type: ignore[misc]
        random = ~side.any(-1)
        scores = relevance if self.hide == "relevant" else -relevance
        scores = torch.where(random.unsqueeze(-1), noise, scores)
        mask = Mask.from_scores(scores, seen_counts(noise.shape[-1], self.ratio, "floor_kept", places), places)
        ratio = self.hints.ratio(self._guided_progress(context.progress))
        if ratio == 0:
            return Guide(side, relevance, mask, torch.zeros_like(side), random)
        hint_noise, cover_noise = (self._noise(model, batch, context) for _ in range(2))
        candidates = self.hints.candidates(mask, side) & ~random.unsqueeze(-1)
        hint_scores = self.hints.scores(scores, hint_noise)
        mask, hints = swap_hints(mask, candidates, hint_scores, cover_noise, ratio, places)
        return Guide(side, relevance, mask, hints, random)

    def _clusters(self, model, batch: Batch) -> tuple[Bool[Tensor, "b n"], Float[Tensor, "b n"]]:
        """The object's cluster (empty where the cut is not usable) and the relevance of every place to it."""
        record = Record(attention=True) if self.cut.side == "attention" else None
        tokens, salience = self._tokens(model, batch, record)
        places = model.places(batch)
        if self.cut.side == "interior":
            exists = torch.ones_like(tokens[..., 0], dtype=torch.bool) if places is None else places
            salience = interior(model.encoder.grid_of(batch["image"]), exists)
        with torch.autocast(tokens.device.type, enabled=False):  # an eigenvector in half precision is another one
            side, usable = self.cut(tokens, salience, places)
            side = side & usable.unsqueeze(-1)
            return side, relevance_to(tokens, side)

    def _tokens(self, model, batch: Batch, record: Record | None) -> tuple[Tensor, Tensor | None]:
        """Unmasked tokens of the layer and, if recorded, the class token's attention to them."""
        encoder, image, places = model.encoder, batch["image"], model.places(batch)
        was_training = encoder.training
        encoder.eval()  # drop path must not disturb the clusters
        if self.network == "encoder":
            count = _layers(self.layer, len(encoder.trunk.blocks), "encoder")
            x = encoder(image, record=record, layers=count, places=places)
        else:
            rows, columns = encoder.grid_of(image)
            nothing = Mask.nothing(image.shape[0], rows * columns, device=image.device)
            record = record or Record()
            model.predict(batch, nothing, record)
            x = record.tokens[_layers(self.layer, len(record.tokens), "decoder") - 1]
        encoder.train(was_training)
        prefix = encoder.prefix
        attention = None
        if record is not None and record.maps:
            if not prefix:
                raise ValueError("side='attention' needs a class token; create the encoder with class_token=True")
            maps = record.maps[len(record.maps) - 1 if self.network == "encoder" else self.layer]
            attention = maps[:, :, 0, prefix:].mean(1)
        return x[:, prefix:], attention

    def _guided_progress(self, progress: float) -> float:
        """How much of the time after the start has passed."""
        started = max(float(self.started_at), 0.0)
        return (progress - started) / (1 - started) if started < 1 else 1.0

    def _noise(self, model, batch: Batch, context: Context) -> Float[Tensor, "b n"]:
        rows, columns = model.encoder.grid_of(batch["image"])
        return context.uniform(batch["image"].shape[0], rows * columns, device=batch["image"].device)


def _layers(layer: int, depth: int, network: str) -> int:
    """How many blocks to run; negative numbers count from the end, -1 being the last block."""
    count = depth + 1 + layer if layer < 0 else layer
    if not 1 <= count <= depth:
        raise ValueError(f"layer {layer} does not exist in the {network} of {depth} blocks; choose 1 to {depth}")
    return count
