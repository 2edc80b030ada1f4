"""Making new samples: generate."""

import io
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from unmask.app.modality import modality_of
from unmask.app.pictures import display, tiled
from unmask.app.runs import Loaded, few, load, read_config
from unmask.data.card import DataCard
from unmask.evaluate.features import frozen
from unmask.train.checkpoint import write_atomically
from unmask.train.engine import choose_device

SAMPLES, PICTURE = "samples", ".png"
BATCH = 64  # pictures made at a time
SHOWN = 64  # pixels; smaller pictures are enlarged on a sheet by a whole factor


def generate(
    run: str | Path,
    *,
    count: int = 64,
    seed: int = 0,
    out: str | Path | None = None,
    step: int | None = None,
    label: str | None = None,
    device: str = "auto",
) -> Path:
    """Writes new pictures or passages that a run invents, the same for the same seed.

    out: a .png or .txt file with all of them, or a folder, for one file each; default: samples.png or samples.txt in
    the run folder. step: a snapshot's, instead of the newest checkpoint. label: the class of all, by name or number,
    for a method that was taught classes. Raises ValueError for a method that cannot make any.
    """
    if count < 1:
        raise ValueError(f"count {count} must be at least 1")
    config = read_config(Path(run))
    kind = modality_of(config.method, config.kind)
    write, suffix = getattr(kind, "write_samples", write_pictures), getattr(kind, "SUFFIX", PICTURE)
    path = Path(run) / f"{SAMPLES}{suffix}" if out is None else Path(out)
    if path.suffix.lower() not in ("", suffix):
        raise ValueError(f"{path} is neither a {suffix} file nor a folder; name one of them")
    loaded = load(run, step)
    if not hasattr(loaded.method, "sample"):
        raise ValueError(f"{config.method} does not make new {kind.NOUN}; generate needs a method that samples")
    wanted = None if label is None else _class(loaded, label)
    write(samples(loaded.method.to(choose_device(device)), count, seed, wanted), loaded.card, path)
    return path


def write_pictures(made: Float[Tensor, "n c h w"], card: DataCard, path: Path) -> None:
    """A sheet of all pictures, or a folder with one file each."""
    pictures = display(card, made)(made)
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        factor = max(1, SHOWN // max(pictures.shape[-2:]))
        large = pictures.repeat_interleave(factor, -1).repeat_interleave(factor, -2)
        _write(tiled(large, math.ceil(len(made) ** 0.5)), path)
    else:
        path.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures):
            _write(picture, path / f"{number:0{len(str(len(made) - 1))}d}.png")


@torch.no_grad()
def samples(method, count: int, seed: int = 0, label: int | None = None) -> Shaped[Tensor, "n *shape"]:
    """New pictures, standardised, or new passages, made in batches; the first are the same for every count.

    label: of what class.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = () if label is None else (label,)
    with frozen(method):
        parts = [method.sample(BATCH, generator, *wanted).cpu() for _ in range(0, count, BATCH)]
    return torch.cat(parts)[:count]


def _class(loaded: Loaded, label: str) -> int:
    """The number of a class by its name, or as text."""
    classes = loaded.card.classes[: getattr(loaded.method, "classes", 0)]
    if not classes:
        raise ValueError(f"this run of {loaded.config.method} was taught no classes; generate without one")
    if label in classes:
        return classes.index(label)
    if label.isdigit() and int(label) < len(classes):
        return int(label)
    raise ValueError(f"class {label!r} is unknown to the run; choose one of {few(classes)}, or 0 to {len(classes) - 1}")


def _write(picture: Float[Tensor, "3 h w"], path: Path) -> None:
    from PIL import Image

    data = io.BytesIO()
    values = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(values)).save(data, format="png")
    write_atomically(path, [data.getvalue()])
