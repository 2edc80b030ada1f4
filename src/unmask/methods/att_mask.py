"""AttMask: a student is shown pictures without what its teacher attends to, and must say what the teacher sees there.

New here: the mask, made from the class-token attention of the teacher's last block. The rest is iBOT: several crops
of a picture; a slow teacher assigns class token and places of the large crops to prototypes; the student agrees on
the class token between crops and, where its own large crop is covered, on the places.
Paper: I. Kakogeorgiou et al., "What to Hide from Your Students: Attention-Guided Masked Image Modeling", ECCV 2022,
https://arxiv.org/abs/2203.12719
Reference: gkakogeorgiou/attmask, attmask.py and main_attmask.py (Apache-2.0)
Differs: crops are cut from the batch's pictures, as tensors, bilinearly, with flips, brightness and contrast;
saturation, hue, grey, blur and solarisation are left out. Positions are those of the encoder: the reference's are
"learned", and its drop path 0.1. The share that is hidden is drawn per large crop, weight decay stays where it begins,
prototypes learn from the start, temperatures follow the progress, centres move after the step. Features are the
teacher's, as in the paper's kNN.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, only_known
from unmask.parts.losses.distillation import assignments, at_hidden_places, between_views
from unmask.parts.masks.attention import AttentionMask, class_attention
from unmask.parts.nets.covered import encode_covered
from unmask.parts.nets.prototype_head import PrototypeHead
from unmask.parts.nets.teacher import Teacher
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.crops import crop, mirrored, random_boxes
from unmask.parts.ops.patches import valid_pixels
from unmask.parts.ops.processes import gathered

CARD = Card(
    title="AttMask",
    paper="https://arxiv.org/abs/2203.12719",
    year=2022,
    data="image",
    hides="what the teacher's class token attends to",
    predicts="the teacher's assignments to prototypes",
    family="self-distillation",
    id=39,
    claim="hiding what is attended to most teaches more than random or block masks, hiding the least attended less",
    usual="ImageNet, ViT-S, 100 epochs: kNN 72.8, linear 76.1",
)
GLOBAL, LOCAL = (0.25, 1.0), (0.05, 0.25)  # areas of the crops
SHRINK = 3 / 7  # side of a small crop: 96 of 224
JITTER = 0.4  # brightness and contrast, as in the reference
KEPT = 0.9  # of the centres, at every step


class StudentMask(AttentionMask):
    """Masks from attention with the numbers of the paper's best setting."""

    def __init__(
        self, hide: str = "hint", ratio: float = 0.3, spread: float = 0.2, probability: float = 0.5, top: float = 0.1
    ):
        super().__init__(hide, ratio, spread, probability, top)


class AttMask(Method):
    """local_crops: small crops besides the two large ones. momentum: of the teacher, rising to 1 along a cosine.

    temperatures: the teacher's, from the first to the last over the share `warm` of the training.
    """

    center: Tensor
    place_center: Tensor
    scores: Tensor
    scored: Tensor

    def __init__(
        self,
        encoder: ViT,
        head: PrototypeHead | None = None,
        mask: StudentMask | None = None,
        local_crops: int = 10,
        momentum: float = 0.996,
        temperatures: tuple[float, ...] = (0.04, 0.07),
        warm: float = 0.3,
    ):
        super().__init__()
        if encoder.class_token is None:
            raise ValueError("AttMask compares class tokens; create the encoder with class_token=True")
        if local_crops < 0 or not 0 <= momentum <= 1 or min(temperatures) <= 0:
            raise ValueError(
                f"local_crops {local_crops}, momentum {momentum} and temperatures {temperatures} cannot be used;"
                " choose a count, a share and numbers above 0"
            )
        self.encoder = encoder
        self.head = head or PrototypeHead(encoder)
        self.sampler = mask or StudentMask()
        self.local_crops = local_crops
        self.momentum = momentum
        self.temperatures = temperatures
        self.warm = warm
        self.mask_embedding = nn.Parameter(torch.zeros(encoder.width))
        self.teacher = Teacher(self._student())
        outputs = len(self.head.prototypes)
        self.register_buffer("center", torch.zeros(outputs))
        self.register_buffer("place_center", torch.zeros(outputs))
        self.register_buffer("scores", torch.zeros(2, outputs), persistent=False)  # of this step, summed
        self.register_buffer("scored", torch.tensor(0.0), persistent=False)  # crops

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        h, w = batch["image"].shape[-2:]
        views = [self._crop(batch, context, GLOBAL, (h, w)) for _ in range(2)]
        temperature = self._temperature(context.progress)
        raw, student, places = [], [], []
        for view in views:
            tokens, attention = self._look(view)
            raw.append(self._teacher("head")(tokens))
            hidden = self._hide(view, attention, context) if mask is None else mask
            seen = encode_covered(self.encoder, view["image"], hidden, self.mask_embedding, self.places(view))
            student.append(self.head(seen[:, 0]))
            at_places = assignments(raw[-1][:, 1:][hidden.hidden], self.place_center, temperature)
            places.append(at_hidden_places(at_places, self.head(seen[:, 1:][hidden.hidden]), hidden.hidden))
        side = self.encoder.patch_size
        small = (max(1, round(h * SHRINK / side)) * side, max(1, round(w * SHRINK / side)) * side)
        for _ in range(self.local_crops):
            view = self._crop(batch, context, LOCAL, small)
            student.append(self.head(self.encoder(view["image"], places=self.places(view))[:, 0]))
        wanted = [assignments(scores[:, 0], self.center, temperature) for scores in raw]
        if self.training:
            for scores in raw:
                self._note(scores)
        return {"class": between_views(wanted, student), "places": torch.stack(places).mean()}

    def features(self, batch: Batch) -> Features:
        batch, record = only_known(batch), Record()
        last = self._teacher("encoder")(batch["image"], record=record, places=self.places(batch))
        blocks = [F.layer_norm(x, x.shape[-1:])[:, 0].float() for x in record.tokens[:-1]]
        pooled = last[:, 0].float()
        return Features(pooled, last[:, 1:], self.encoder.grid_of(batch["image"]), (*blocks, pooled))

    def places(self, batch: Batch) -> Bool[Tensor, "b n"] | None:
        """Which places hold anything real, or None when all do."""
        pixels = valid_pixels(batch["image"], batch.get("image_valid"), self.encoder.patch_size)
        return None if pixels is None or "image_valid" not in batch else pixels.any(-1)

    def class_attention(self, batch: Batch) -> Float[Tensor, "b n"]:
        """What the teacher's class token attends to in the last block."""
        return class_attention(self._teacher("encoder"), only_known(batch)["image"], self.places(batch))

    def after_step(self, context: Context) -> None:
        decay = 1 - (1 - self.momentum) * (1 + math.cos(math.pi * min(context.progress, 1.0))) / 2
        self.teacher.follow(self._student(), decay)
        self._recentre()

    @torch.no_grad()
    def _look(self, view: Batch) -> tuple[Float[Tensor, "b s d"], Float[Tensor, "b n"]]:
        """The teacher's tokens of a whole crop, and what its class token attends to."""
        record = Record(attention=True, last=True)
        tokens = self._teacher("encoder")(view["image"], record=record, places=self.places(view))
        return tokens, record.maps[-1][:, :, 0, self.encoder.prefix :].mean(1)

    def _hide(self, view: Batch, attention: Float[Tensor, "b n"], context: Context) -> Mask:
        if isinstance(self.sampler, AttentionMask):
            return self.sampler.of(attention, context, self.places(view), self.training)
        return self.sampler(self, view, context)

    def _crop(self, batch: Batch, context: Context, areas: tuple[float, float], size: tuple[int, int]) -> Batch:
        image = batch["image"]
        noise = context.uniform(image.shape[0], 7, device=image.device)
        boxes = mirrored(random_boxes(noise[:, :4], *areas), noise[:, 4])
        view = crop(image, boxes, size)
        brightness, contrast = (1 + JITTER * (2 * noise[:, 5:] - 1)).view(-1, 2, 1, 1, 1).unbind(1)
        mean = view.mean((1, 2, 3), keepdim=True)
        view = (view - mean) * contrast + mean + (brightness - 1)
        if "image_valid" not in batch:
            return {"image": view}
        valid = crop(batch["image_valid"].unsqueeze(1).float(), boxes, size, "nearest")[:, 0] > 0.5
        return only_known({"image": view, "image_valid": valid})

    @torch.no_grad()
    def _note(self, scores: Float[Tensor, "b s k"]) -> None:
        """Remembers the teacher's scores until the step is done."""
        at_places = scores[:, 1:].sum((0, 1), dtype=torch.float32) / (scores.shape[1] - 1)
        self.scores += torch.stack([scores[:, 0].sum(0, dtype=torch.float32), at_places])
        self.scored += len(scores)

    @torch.no_grad()
    def _recentre(self) -> None:
        """Moves the centres towards the mean of the step's scores, over all processes."""
        count = gathered(self.scored.unsqueeze(0)).sum()
        if count:
            means = gathered(self.scores.unsqueeze(0)).sum(0) / count
            self.center.lerp_(means[0], 1 - KEPT)
            self.place_center.lerp_(means[1], 1 - KEPT)
        self.scores.zero_()
        self.scored.zero_()

    def _temperature(self, progress: float) -> float:
        first, last = self.temperatures
        return first + (last - first) * min(progress / max(self.warm, 1e-9), 1.0)

    def _teacher(self, part: str) -> Any:
        network: Any = self.teacher.network
        return network[part]

    def _student(self) -> Any:
        return nn.ModuleDict({"encoder": self.encoder, "head": self.head})


RECIPE = Recipe(
    optimizer="adamw",
    lr=5e-4,
    batch=240,
    epochs=100,
    warmup=10,
    weight_decay=0.04,
    betas=(0.9, 0.999),
    clip=3.0,
    crop=None,
)


def tiny() -> tuple[AttMask, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    head = PrototypeHead(encoder, outputs=32, hidden=32, bottleneck=16)
    return AttMask(encoder, head, StudentMask(spread=0.1, probability=1.0), local_crops=1), {"image": image}
