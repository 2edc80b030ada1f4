"""How many pictures one core makes ready for training: our stream against torchvision's, side by side in one run.

Run: python benchmarks/loader.py [--pictures 1000] [--rounds 5]
Both read the same JPEGs (made here from two photographs) and give float tensors [64, 3, 224, 224], standardised, of
random crops (20 to 100 % of the area), mirrored half of the time. First it checks that crops and pixels agree. Prints
median ratios with their spread and writes benchmarks/results/loader.json.
"""

import argparse
import io
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.stats import ks_2samp
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms import (
    Compose,
    InterpolationMode,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ToTensor,
)

from unmask.data.card import DataCard, inspect
from unmask.data.source import Source
from unmask.data.sources import open_source
from unmask.data.stream import TrainingStream
from unmask.data.views import TRIES, TrainingView, random_box

SIDE, BATCH, AREA = 224, 64, (0.2, 1.0)
ENOUGH = 35.0  # decibels
DRAWS = 20_000
MEMORY = 1 << 30  # bytes for decoded pictures, the stream's default
USUAL = (375, 500)
LARGE = (3000, 4000)  # of a telephone's camera
LARGE_PICTURES = 8
GRAIN = 4.0  # standard deviation of the noise in large pictures, which enlarging alone would leave too smooth


def make_pictures(folder: Path, count: int, height: int, width: int, grain: float) -> None:
    """JPEGs of quality 90: random parts of scikit-learn's two photographs, mirrored or not, brighter or darker."""
    random = np.random.default_rng(0)
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    (folder / "all").mkdir(parents=True)
    for i in range(count):
        photo = photos[i % len(photos)]
        h = int(random.integers(250, photo.height + 1))
        w = min(photo.width, h * width // height)
        top, left = int(random.integers(0, photo.height - h + 1)), int(random.integers(0, photo.width - w + 1))
        part = photo.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, left + w, top + h))
        values = np.asarray(part)[:, :: random.choice([-1, 1])] * np.float32(random.uniform(0.8, 1.2))
        if grain:
            values = values + random.normal(0, grain, values.shape).astype(np.float32)
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(folder / "all" / f"{i:05d}.jpg", quality=90)


def torchvision_batches(folder: Path, card: DataCard, interpolation: InterpolationMode) -> Iterable:
    """ImageFolder, RandomResizedCrop and flip in one process, as most training scripts have it."""
    ways = [
        RandomResizedCrop(SIDE, scale=AREA, interpolation=interpolation),
        RandomHorizontalFlip(),
        ToTensor(),
        Normalize([mean / 255 for mean in card.mean], [std / 255 for std in card.std]),
    ]
    pictures = ImageFolder(folder, Compose(ways))
    return torch.utils.data.DataLoader(pictures, min(BATCH, len(pictures)), shuffle=True, drop_last=True)


def our_batches(source: Source, card: DataCard, cache_bytes: int) -> Iterable:
    """The training stream in one process."""
    batch = min(BATCH, len(source))
    view = TrainingView(SIDE, crop=AREA)
    return TrainingStream(source, card, view, seed=0, batch=batch, steps=len(source) // batch, cache_bytes=cache_bytes)


def crop_agreement(height: int, width: int) -> dict[str, float]:
    """p of the Kolmogorov-Smirnov test for area, aspect and centre of our crops against torchvision's."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(1)
    image = torch.empty(3, height, width)
    ours = [random_box(height, width, AREA, 1.0, torch.rand(4 * TRIES, generator=generator)) for _ in range(DRAWS)]
    theirs = [RandomResizedCrop.get_params(image, list(AREA), [3 / 4, 4 / 3]) for _ in range(DRAWS)]
    one, other = (_facts(np.array(boxes, dtype=float)) for boxes in (ours, theirs))
    return {name: float(ks_2samp(one[name], other[name]).pvalue) for name in one}


def _facts(boxes: np.ndarray) -> dict[str, np.ndarray]:
    top, left, height, width = boxes.T
    return {
        "area": height * width,
        "aspect": width / height,
        "row of the centre": top + height / 2,
        "column of the centre": left + width / 2,
    }


def pixel_agreement(source: Source, card: DataCard, count: int) -> list[float]:
    """Decibels between our views and Pillow's exact crop and resize, for the first pictures."""
    view = TrainingView(SIDE, crop=AREA, flip=False)
    found = []
    for i in range(count):
        drawn = view.draw(source.read_for(i, view.size), card, torch.Generator().manual_seed(i))["image"]
        image = Image.open(io.BytesIO(source.data(i)))
        noise = torch.rand(4 * TRIES + 1, generator=torch.Generator().manual_seed(i))[1:]
        top, left, height, width = random_box(image.height, image.width, AREA, 1.0, noise)
        exact = image.crop((left, top, left + width, top + height)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        error = np.square(drawn.permute(1, 2, 0).numpy().astype(float) - np.asarray(exact)).mean()
        found.append(10 * float(np.log10(255**2 / max(error, 1e-9))))
    return found


def seconds_each(batches: Iterable[dict[str, Tensor] | list[Tensor]]) -> float:
    """Seconds of a core for one picture, over all batches; time that other programs take does not count."""
    count = 0
    began = time.process_time()
    for batch in batches:
        image = batch["image"] if isinstance(batch, dict) else batch[0]
        assert image.shape[1:] == (3, SIDE, SIDE)
        assert image.dtype == torch.float32
        count += len(image)
    return (time.process_time() - began) / count


def compare(arms: dict[str, Callable[[], Iterable]], rounds: int) -> dict[str, dict[str, float]]:
    """Rate of every arm, and its ratio to the first arm; A B A B, so that what disturbs the machine disturbs all."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _, (name, batches) in itertools.product(range(rounds), arms.items()):
        seconds[name].append(seconds_each(batches()))
    first = next(iter(seconds.values()))
    report = {}
    for name, own in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(first, own, strict=True)]
        report[name] = {
            "pictures_per_second": 1 / statistics.median(own),
            "ratio": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
        }
        line = report[name]
        print(f"  {name:42} {line['pictures_per_second']:7.1f}/s  {line['ratio']:.2f}x", end="")
        print(f"  ({line['lowest']:.2f} to {line['highest']:.2f})")
    return report


def measure(folder: Path, size: tuple[int, int], count: int, rounds: int, grain: float = 0.0) -> dict:
    """Makes the pictures, checks that both loaders show the same, then compares their speed."""
    height, width = size
    make_pictures(folder, count, height, width, grain)
    source = open_source(folder)
    card = inspect(source, limit=100)
    crops, pixels = crop_agreement(height, width), pixel_agreement(source, card, min(count, 100))
    print(f"{count} JPEGs of {width} x {height}: crops as torchvision's (smallest p {min(crops.values()):.3f}),")
    print(f"  pixels {min(pixels):.1f} dB or closer to exact ones (median {statistics.median(pixels):.1f})")
    if min(crops.values()) < 0.001 or min(pixels) < ENOUGH:
        raise SystemExit("the loaders do not show the same; their speed is not compared")
    arms = {
        "torchvision, bicubic": lambda: torchvision_batches(folder, card, InterpolationMode.BICUBIC),
        "torchvision, bilinear (its default)": lambda: torchvision_batches(folder, card, InterpolationMode.BILINEAR),
        "unmask, every picture decoded": lambda: our_batches(source, card, cache_bytes=0),
    }
    if size == USUAL:  # a set of pictures from a camera is rarely small enough to be kept
        later = our_batches(source, card, cache_bytes=MEMORY)
        seconds_each(later)  # the first epoch fills the memory
        arms["unmask, later epochs (kept in memory)"] = lambda: later
    bytes_each = statistics.mean(item.size for item in source.items)
    agreement = {"crops_p": crops, "pixels_lowest_db": min(pixels), "pixels_median_db": statistics.median(pixels)}
    return {
        "pictures": count,
        "size": [height, width],
        "bytes_each": bytes_each,
        **agreement,
        "arms": compare(arms, rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    packages = ("torch", "torchvision", "pillow", "imagecodecs", "numpy")
    report = {
        "options": vars(options),
        "versions": {name: version(name) for name in packages},
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "sets": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        report["sets"]["usual"] = measure(place / "usual", USUAL, options.pictures, options.rounds)
        report["sets"]["large"] = measure(place / "large", LARGE, LARGE_PICTURES, options.rounds, GRAIN)
    out = Path(__file__).parent / "results" / "loader.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
