"""Volumes made in a moment, and the smallest network for them."""

import gzip
from pathlib import Path

import numpy as np

from small_run import unmask

SIZES = {"volume_size": "8,8,8", "cell_size": "4"}
NETWORK = ["--method", "s3d_mae_medical", "--model", "4-8/1-1"]
NETWORK += [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]
AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])


def nifti(
    values: np.ndarray, affine: np.ndarray | None = AFFINE, spacing: tuple[float, ...] = (1.0, 1.5, 2.0)
) -> bytes:
    """A compressed NIfTI file. affine: None leaves out how the volume lies."""
    import nibabel

    image = nibabel.Nifti1Image(values, affine)
    if affine is None:
        image.header.set_zooms((*spacing, *[1.0] * (values.ndim - 3)))
        image.header["sform_code"] = image.header["qform_code"] = 0
    return gzip.compress(image.to_bytes(), mtime=0)


def ball(i: int, size: tuple[int, int, int] = (9, 8, 10)) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball in noise, at a scale of its own, and where it is; its upper half is of another class."""
    generator = np.random.default_rng(i)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in size), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.5
    classes = inside * (1 + (axes[2] > 0))
    values = (generator.normal(0, 0.3, size) + inside) * 10.0 ** (i % 3)
    return values.astype(np.float32), classes.astype(np.uint8)


def make_volumes(folder: Path, count: int = 24) -> Path:
    """NIfTI files in images/ with masks in labels/."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        values, classes = ball(i)
        (folder / "images" / f"v{i:02d}.nii.gz").write_bytes(nifti(values))
        (folder / "labels" / f"v{i:02d}.nii.gz").write_bytes(nifti(classes))
    return folder


def pretrain_volumes(data: Path, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 4, "--quiet", *more)
