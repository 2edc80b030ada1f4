"""How good made pictures are, in the eyes of a small network that was taught the classes of the same training data.

The network is a strided convolutional classifier; its features are those before its last linear layer. The distance
between its features of made and of real pictures is comparable between arms of one proof, and with nothing else.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.app.generating import samples
from unmask.app.looking import batches_of, pictures_of
from unmask.app.measuring import divided
from unmask.app.runs import Loaded
from unmask.evaluate.features import frozen
from unmask.evaluate.frechet import frechet_distance
from unmask.parts.nets.dcgan import ConvEncoder
from unmask.proofs.experiment import Laboratory

WIDTH, FEATURES, LAYERS, KERNEL = 128, 64, 3, 4
RATE, DECAY, BATCH = 1e-3, 1e-4, 100
NAME = f"{LAYERS} strided convolutions up to {WIDTH} wide, {FEATURES} features, taught the classes"


class Judge(nn.Module):
    """A classifier whose features say how alike two sets of pictures are."""

    def __init__(self, image_size: tuple[int, int], channels: int, classes: int):
        super().__init__()
        self.trunk = ConvEncoder(image_size, channels, FEATURES, WIDTH, LAYERS, KERNEL)
        self.head = nn.Linear(FEATURES, classes)

    def features(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        return self.trunk(image)[0].relu()

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return self.head(self.features(image))


def taught(image: Float[Tensor, "n c h w"], label: Int64[Tensor, "n"], epochs: int, seed: int = 0) -> Judge:
    """The judge after that many passes over the pictures in random order, mirrored at random."""
    torch.manual_seed(seed)
    judge = Judge((image.shape[-2], image.shape[-1]), image.shape[1], int(label.max()) + 1).train()
    optimiser = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=DECAY)
    for _ in range(epochs):
        for rows in torch.randperm(len(label)).split(BATCH):
            mirrored = torch.rand(len(rows), 1, 1, 1) < 0.5
            shown = torch.where(mirrored, image[rows].flip(-1), image[rows])
            optimiser.zero_grad()
            F.cross_entropy(judge(shown), label[rows]).backward()
            optimiser.step()
    return judge.eval()


@torch.enable_grad()
def taught_by(laboratory: Laboratory, loaded: Loaded, epochs: int) -> Judge:
    """The judge, taught the classes of the laboratory's training pictures as the run sees them."""
    training = divided(pictures_of(loaded, laboratory.data), None, laboratory.limit)["train"]
    batches = list(batches_of(loaded, training))
    image, label = (torch.cat([batch[key] for batch in batches]) for key in ("image", "label"))
    return taught(image, label, epochs)


@torch.no_grad()
def judged(judge: Judge, images: Iterable[Float[Tensor, "b c h w"]]) -> Float[Tensor, "n d"]:
    """The judge's features of many pictures."""
    return torch.cat([judge.features(image) for image in images])


@torch.no_grad()
def quality(loaded: Loaded, judge: Judge, data: str | Path, count: int, seed: int = 0) -> dict[str, float]:
    """Distances of samples and of reconstructions from the test pictures, and the mean squared error of the latter.

    count: pictures of each kind; all have a class. Pixels are in units of their deviation in the training data.
    """
    method: Any = loaded.method
    test = batches_of(loaded, divided(pictures_of(loaded, data), None, count)["test"])
    with frozen(method):
        pairs = [(batch["image"], method.reconstruct(batch)) for batch in test]
    right = [judge(batch["image"]).argmax(-1) == batch["label"] for batch in test]
    real = judged(judge, (image for image, _ in pairs))
    made = samples(method, len(real), seed).split(64)
    return {
        "samples": frechet_distance(judged(judge, made), real),
        "reconstructions": frechet_distance(judged(judge, (again for _, again in pairs)), real),
        "judge accuracy": float(torch.cat(right).float().mean()),
        "error": sum(float((a - b).square().sum()) for a, b in pairs) / sum(a.numel() for a, _ in pairs),
    }
