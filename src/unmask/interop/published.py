"""Checkpoints of others, and our own exports, read in their own names."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from unmask.interop import archive
from unmask.interop.architecture import Architecture, Grid, architecture_from, architecture_of, decoder_of, encoder_of
from unmask.interop.configuration import Stated, read_configuration, stated
from unmask.interop.header import read_header, read_tensors, weight_files
from unmask.interop.names import Naming, Tensors, clean_names, naming_of, to_ours
from unmask.methods.mae import MAE
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.positions import sincos_grid

SAME_TABLE = 5e-3  # positions closer to sine and cosine than this, also in bfloat16, are the fixed ones
OURS = "unmask"
PROGRAMS = (".pt2", ".onnx")
Networks = dict[str, ViT | TokenDecoder | None]


class Published(NamedTuple):
    """A checkpoint: whose naming it follows, its tensors under their names, its configuration."""

    kind: str
    tensors: Tensors
    config: dict


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint gave: our tensors it filled, ours it does not have, theirs that have no place here."""

    kind: str
    taken: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    notes: tuple[str, ...]

    def to_text(self) -> str:
        lines = [f"{len(self.taken)} tensors taken from a checkpoint of {self.kind}"]
        if self.unexpected:
            lines.append(f"left out, as they have no place here: {', '.join(self.unexpected)}")
        return "\n".join([*lines, *self.notes])


class Opened(NamedTuple):
    """A checked checkpoint whose tensors are not in memory yet; `shapes` are tensors without data."""

    path: Path
    naming: Naming | None
    shapes: Tensors
    config: dict
    stated: Stated
    files: list[Path]

    @property
    def kind(self) -> str:
        return OURS if self.naming is None else self.naming.kind

    def read(self) -> Tensors:
        return clean_names({name: value for file in self.files for name, value in read_tensors(file).items()})

    def ours(self, tensors: Tensors) -> tuple[Tensors, list[str]]:
        """Under our names, and the names that have no place here."""
        if self.naming is None:
            return dict(tensors), []
        grid = self.stated.grid
        return to_ours(tensors, self.naming, None if grid is None else grid[0] * grid[1])

    def architecture(self) -> Architecture:
        """The sizes of the networks, from shapes and configuration."""
        shapes, _ = self.ours(self.shapes)
        patch_size = self.stated.patch_size
        if self.naming is not None:
            embedding = next(pair[1] for pair in self.naming.pairs if pair[0] == "encoder.embed")
            patch_size = self.shapes[f"{embedding}.weight"].shape[-1]
        if patch_size is None:
            raise ValueError(f"{self.path} does not say how large its patches are; keep config.json beside it")
        learned = None if self.naming is not None else "encoder.positions.table" in shapes
        says = self.stated
        return architecture_from(shapes, patch_size, says.grid, says.heads, says.decoder_heads, learned)


@contextmanager
def opened(path: str | Path, allow_pickle_archive: bool = False) -> Iterator[Opened]:
    """Names, shapes and configuration of a checkpoint, checked before anything is allocated."""
    path = Path(path)
    with tempfile.TemporaryDirectory() as scratch:
        if path.suffix in PROGRAMS:
            raise ValueError(f"{path} is a program, which is never loaded; use the safetensors file it was made from")
        if path.is_file() and archive.is_archive(path):
            if not allow_pickle_archive:
                raise ValueError(
                    f"{path} is a torch archive, which can hide code, where a safetensors file is expected; convert it "
                    "once where you trust it (safetensors.torch.save_file) or pass allow_pickle_archive=True"
                )
            files = [archive.converted(path, Path(scratch))]
        else:
            files = weight_files(path)
        headers = [read_header(file) for file in files]
        shapes = clean_names({name: value for header in headers for name, value in header.tensors.items()})
        if len(shapes) != sum(len(header.tensors) for header in headers):
            raise ValueError(f"{path} holds a tensor of the same name in two of its files; keep one")
        config = read_configuration(path, headers[0].metadata)
        naming = naming_of(shapes)
        if naming is None and "encoder.embed.weight" not in shapes:
            raise ValueError(
                f"{path} is of no known kind (its first tensor is {next(iter(shapes), None)!r}); known are exports of "
                "unmask, facebookresearch/mae, transformers ViTMAE and ViT, timm VisionTransformer"
            )
        yield Opened(path, naming, shapes, config, stated(config), files)


def read_published(path: str | Path, allow_pickle_archive: bool = False) -> Published:
    """A checkpoint of facebookresearch/mae, transformers or timm, or an export of ours; ValueError for others.

    path: a safetensors file, or a folder that holds one. allow_pickle_archive: also open a torch archive, in a
    process of its own, with torch's restricted loader.
    """
    with opened(path, allow_pickle_archive) as file:
        return Published(file.kind, file.read(), file.config)


def load_into(
    method: nn.Module,
    path: str | Path,
    encoder_only: bool = False,
    resize: bool = False,
    channels: Sequence[str] | None = None,
    allow_pickle_archive: bool = False,
) -> Loaded:
    """Fills the method's encoder, and its decoder if the checkpoint has one, from any known naming.

    resize: accept another grid: fixed positions are computed for it, learned ones interpolated.
    channels: names of the method's channels; those of the checkpoint are brought into this order.
    Raises ValueError with both values where a size differs, before any tensor is read.
    """
    networks: Networks = {"encoder": encoder_of(method), "decoder": None if encoder_only else decoder_of(method)}
    with opened(path, allow_pickle_archive) as file:
        shapes, unexpected = file.ours(file.shapes)
        sizes = file.architecture()
        if sizes.decoder_width is None:
            networks["decoder"] = None
        ignore = ("learned_positions", *(("grid", "places") if resize else ()))
        wrong = sizes.differences(architecture_of(method, networks["decoder"] is None), ignore)
        if wrong:
            hint = "; resize=True accepts another grid" if any(text.startswith("grid") for text in wrong) else ""
            raise ValueError(f"{path} does not fit this model: {', '.join(wrong)}{hint}")
        _check_names(file, shapes, unexpected, networks)
        order = channel_order(file, channels)
        tensors, _ = file.ours(file.read())
    notes = []
    if order is not None:
        weight = tensors["encoder.embed.weight"]
        tensors["encoder.embed.weight"] = weight.unflatten(1, (-1, sizes.channels))[..., order].flatten(1)
        notes.append(f"channels brought into the order {', '.join(channels or ())}")
    tables = {part: tensors.pop(f"{part}.positions.table", None) for part in networks}
    taken = []
    for part, network in networks.items():
        if network is not None:
            own = {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(part)}
            own |= _positions(tables[part], network, sizes.grid, f"{part} of {path}")
            network.load_state_dict(own)
            taken += [f"{part}.{name}" for name in own]
    decoder = decoder_of(method)
    if decoder is None and sizes.decoder_width is not None and not encoder_only:
        notes.append("the file's decoder was left out: this model has none of that kind")
    missing: tuple[str, ...] = ()
    if decoder is not None and networks["decoder"] is None and not encoder_only:
        missing = tuple(f"decoder.{name}" for name in decoder.state_dict())
        notes.append("the file holds no decoder: the decoder is new, so train it before you look at predictions")
    return Loaded(file.kind, tuple(taken), missing, tuple(unexpected), tuple(notes))


def build(path: str | Path, heads: int | None = None, allow_pickle_archive: bool = False) -> tuple[nn.Module, Loaded]:
    """A new MAE with the sizes of the checkpoint, filled from it. `heads`: where the file does not say how many."""
    with opened(path, allow_pickle_archive) as file:
        sizes, says = file.architecture(), file.stated
        table = file.ours(file.read())[0].get("encoder.positions.table")
    heads = heads or sizes.heads
    if heads is None or sizes.grid is None:
        unknown = "how many attention heads" if heads is None else "which grid"
        raise ValueError(f"{path} does not say {unknown} its encoder has; create the model and use load_into")
    learned = table is not None and not _fixed(table, sizes.grid)
    encoder = ViT(
        f"{sizes.width}x{sizes.depth}x{heads}",
        sizes.image_size,
        sizes.patch_size,
        sizes.channels,
        sizes.class_token,
        "learned" if learned else "sincos",
        layer_scale=1.0 if sizes.layer_scale else None,
    )
    decoder = None
    if sizes.decoder_width is not None and sizes.decoder_depth is not None:
        decoder = TokenDecoder(
            encoder, sizes.decoder_width, sizes.decoder_depth, sizes.decoder_heads or 16, sizes.outputs
        )
    method = MAE(encoder, decoder, says.ratio or 0.75, True if says.normalise is None else says.normalise)
    return method, load_into(method, path, allow_pickle_archive=allow_pickle_archive)


def channel_order(file: Opened, channels: Sequence[str] | None) -> list[int] | None:
    """Where the checkpoint has each of our channels; None where it is the same order or one side has no names."""
    theirs = file.stated.channels
    if channels is None or theirs is None or tuple(channels) == theirs:
        return None
    if sorted(channels) != sorted(theirs) or len(set(theirs)) != len(theirs):
        raise ValueError(f"{file.path} was trained on the channels {', '.join(theirs)}; here are {', '.join(channels)}")
    return [theirs.index(channel) for channel in channels]


def _check_names(file: Opened, shapes: Tensors, unexpected: list[str], networks: Networks) -> None:
    """Raises ValueError where a network would not be filled whole, or the file is of a network that differs from it."""
    accepted = () if file.naming is None else file.naming.heads
    strange = [name for name in unexpected if not name.startswith(accepted)]
    for part, network in networks.items():
        if network is None:
            continue
        given = {n.removeprefix(f"{part}."): tuple(t.shape) for n, t in shapes.items() if n.startswith(f"{part}.")}
        wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        given.pop("positions.table", None)
        wanted.pop("positions.table", None)
        lacking = [f"{part}.{name}" for name in wanted if name not in given]
        if lacking:
            raise ValueError(f"{file.path} lacks {len(lacking)} tensors of the {part}, such as {lacking[0]}")
        strange += [f"{part}.{name}" for name in given if name not in wanted]
        for name in wanted.keys() & given.keys():
            if wanted[name] != given[name]:
                raise ValueError(f"{file.path} has {part}.{name} of shape {given[name]}; here it is {wanted[name]}")
    if strange:
        raise ValueError(
            f"{file.path} holds {len(strange)} tensors that this network does not have, such as {strange[0]}; "
            "its function would change without them"
        )


def _fixed(table: Tensor, grid: Grid | None) -> bool:
    """Whether positions are MAE's sines and cosines of this grid."""
    if grid is None or table.shape[0] != grid[0] * grid[1] or table.shape[1] % 4:
        return False
    return bool((table.float() - sincos_grid(grid, table.shape[1])).abs().max() < SAME_TABLE)


def _positions(table: Tensor | None, network: ViT | TokenDecoder, grid: Grid | None, what: str) -> Tensors:
    """What becomes of a checkpoint's positions: nothing if ours are fixed and equal, else the learned table."""
    ours: Positions = network.positions
    if ours.kind == "sincos":
        if table is not None and not _fixed(table, grid or ours.grid):
            advice = "create it with positions='learned'" if what.startswith("encoder") else "pass encoder_only=True"
            raise ValueError(f"the positions in the {what} are not sines and cosines, as they are here; {advice}")
        return {}
    if table is None:
        if grid is None:
            raise ValueError(f"the {what} has fixed positions on a grid that it does not state")
        table = sincos_grid(grid, ours.width)
    if grid is not None and grid != ours.grid:
        table = table.float().reshape(1, *grid, ours.width).permute(0, 3, 1, 2)
        table = F.interpolate(table, size=ours.grid, mode="bicubic", antialias=True, align_corners=False)
        table = table.permute(0, 2, 3, 1).reshape(-1, ours.width)
    return {"positions.table": table}
