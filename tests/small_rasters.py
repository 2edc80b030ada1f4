"""Scenes made in a moment, and the smallest network for them."""

from pathlib import Path

import numpy as np

from small_run import unmask

SIZES = {
    "model": "48x2x2",
    "image_size": 8,
    "patch_size": 4,
    "decoder_width": 48,
    "decoder_depth": 1,
    "decoder_heads": 2,
}
NETWORK = [
    "--method",
    "satmae",
    *(
        word
        for name, value in SIZES.items()
        for word in (("--model", value) if name == "model" else ("--set", f"{name}={value}"))
    ),
]
DATES = ("20150711T100008", "20150830T100547", "20160115T101500")


def bands(height: int = 16, width: int = 24, count: int = 4, seed: int = 0, level: int = 0) -> np.ndarray:
    """Smooth noise on a level, as many satellites store reflectance."""
    generator = np.random.default_rng(seed)
    base = np.add.outer(np.sin(np.arange(height) / 3 + seed), np.cos(np.arange(width) / 4))
    values = (
        1000
        + 100 * level
        + 200 * base[..., None] * (1 + np.arange(count))
        + generator.normal(0, 20, (height, width, count))
    )
    return values.clip(1).astype(np.uint16)


def write_geo(
    path: Path, values: np.ndarray, names=("B02", "B03", "B04", "B08"), nodata: int | None = 0, **tags
) -> Path:
    """A .tif with a place on Earth, names of bands and a value for no data."""
    import rasterio
    from rasterio.transform import from_origin

    height, width, count = values.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": "EPSG:32633", "transform": from_origin(500000, 5100000, 10, 10)}
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=count, dtype=values.dtype, nodata=nodata, **place
    ) as file:
        file.write(np.moveaxis(values, -1, 0))
        file.descriptions = tuple(names)
        file.update_tags(**tags)
    return path


def write_plain(path: Path, values: np.ndarray) -> Path:
    """A .tif without a place on Earth: bands as pages."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.ascontiguousarray(np.moveaxis(values, -1, 0)), photometric="minisblack")
    return path


def make_scenes(folder: Path, places: int = 6, classes: int = 2) -> Path:
    """Places of two classes at three dates each, as plain files named by place and date."""
    for place in range(places):
        for number, date in enumerate(DATES):
            values = bands(seed=10 * place + number, level=4 * (place % classes))
            write_plain(folder / f"class{place % classes}" / f"place{place}_{date}.tif", values)
    return folder


def pretrain_scenes(data: Path, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 8, "--quiet", *more)
