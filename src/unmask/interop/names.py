"""Names of the same weights elsewhere: one table for each foreign naming, read in both directions."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.interop.architecture import Architecture
from unmask.parts.ops.positions import sincos_grid

Tensors = dict[str, Tensor]
Pairs = tuple[tuple[str, str], ...]


def _blocks(ours: str, theirs: str, inside: Pairs) -> Pairs:
    return tuple((f"{ours}.trunk.blocks.{{i}}.{mine}", f"{theirs}.{{i}}.{other}") for mine, other in inside)


_TIMM_BLOCK: Pairs = (
    ("norm1", "norm1"),
    ("attention.qkv", "attn.qkv"),
    ("attention.out", "attn.proj"),
    ("norm2", "norm2"),
    ("mlp.0", "mlp.fc1"),
    ("mlp.2", "mlp.fc2"),
    ("scale1.factor", "ls1.gamma"),
    ("scale2.factor", "ls2.gamma"),
)
_TIMM_ENCODER: Pairs = (
    ("encoder.embed", "patch_embed.proj"),
    ("encoder.positions.table", "pos_embed"),
    ("encoder.class_token", "cls_token"),
    ("encoder.trunk.norm", "norm"),
    *_blocks("encoder", "blocks", _TIMM_BLOCK),
)
_MAE_DECODER: Pairs = (
    ("decoder.embed", "decoder_embed"),
    ("decoder.mask_token", "mask_token"),
    ("decoder.positions.table", "decoder_pos_embed"),
    ("decoder.trunk.norm", "decoder_norm"),
    ("decoder.head", "decoder_pred"),
    *_blocks("decoder", "decoder_blocks", _TIMM_BLOCK[:6]),
)
_TRANSFORMERS_BLOCK: Pairs = (
    ("norm1", "layernorm_before"),
    ("attention.query", "attention.attention.query"),
    ("attention.key", "attention.attention.key"),
    ("attention.value", "attention.attention.value"),
    ("attention.out", "attention.output.dense"),
    ("norm2", "layernorm_after"),
    ("mlp.0", "intermediate.dense"),
    ("mlp.2", "output.dense"),
)
_TRANSFORMERS: Pairs = (
    ("encoder.embed", "vit.embeddings.patch_embeddings.projection"),
    ("encoder.positions.table", "vit.embeddings.position_embeddings"),
    ("encoder.class_token", "vit.embeddings.cls_token"),
    ("encoder.trunk.norm", "vit.layernorm"),
    *_blocks("encoder", "vit.encoder.layer", _TRANSFORMERS_BLOCK),
    ("decoder.embed", "decoder.decoder_embed"),
    ("decoder.mask_token", "decoder.mask_token"),
    ("decoder.positions.table", "decoder.decoder_pos_embed"),
    ("decoder.trunk.norm", "decoder.decoder_norm"),
    ("decoder.head", "decoder.decoder_pred"),
    *_blocks("decoder", "decoder.decoder_layers", _TRANSFORMERS_BLOCK),
)


@dataclass(frozen=True)
class Naming:
    """How another library names and lays out the same weights.

    marks: any of these names shows that a file is of this kind. heads: endings of weights that have no place here.
    split: query, key and value are three matrices. scales: it has LayerScale. class_token: it needs one.
    square: its decoder knows square grids only.
    """

    kind: str
    pairs: Pairs
    marks: tuple[str, ...]
    heads: tuple[str, ...]
    split: bool = False
    scales: bool = False
    class_token: bool = False
    square: bool = False


NAMINGS = (
    Naming(
        "facebookresearch/mae",
        _TIMM_ENCODER + _MAE_DECODER,
        ("decoder_embed.weight",),
        (),
        class_token=True,
        square=True,
    ),
    Naming("timm", _TIMM_ENCODER, ("patch_embed.proj.weight",), ("head.", "fc_norm.", "mask_token"), scales=True),
    Naming(
        "transformers",
        _TRANSFORMERS,
        ("vit.embeddings.patch_embeddings.projection.weight",),
        ("classifier.", "pooler.", "vit.pooler.", "vit.embeddings.mask_token"),
        split=True,
        class_token=True,
        square=True,
    ),
)
MAE, TIMM, TRANSFORMERS = NAMINGS


def clean_names(tensors: Mapping[str, Tensor]) -> Tensors:
    """Without what torch.compile, DistributedDataParallel and versions of transformers put into names."""
    cleaned = {}
    for name, value in tensors.items():
        short = re.sub(r"^(module\.)+", "", name.replace("_orig_mod.", ""))
        short = re.sub(r"^(?=embeddings\.|encoder\.layer\.|layernorm\.)", "vit.", short)
        cleaned[short.replace("decoder.decoder_encoder.layer.", "decoder.decoder_layers.")] = value
    if len(cleaned) != len(tensors):
        raise ValueError("two tensors have the same name once wrappers' prefixes are removed; keep one set of weights")
    return cleaned


def naming_of(tensors: Mapping[str, Tensor]) -> Naming | None:
    """Which naming the cleaned names follow, or None."""
    return next((naming for naming in NAMINGS if any(mark in tensors for mark in naming.marks)), None)


def to_theirs(tensors: Mapping[str, Tensor], naming: Naming, architecture: Architecture) -> Tensors:
    """Our tensors, with the fixed positions written out, under the other library's names and layouts."""
    ours = dict(tensors) if naming.scales else _fold_scales(tensors)
    if naming.class_token and not architecture.class_token:
        raise ValueError(f"{naming.kind} needs a class token and this encoder has none; export to timm or torch")
    if any(".trunk.between." in name for name in ours):
        raise ValueError(
            f"{naming.kind} has no place for the modules between this encoder's blocks; export to torch under our names"
        )
    rows, columns = architecture.grid or (0, 0)
    if naming.square and rows != columns and architecture.decoder_width is not None:
        raise ValueError(
            f"{naming.kind} has decoders for square grids only, this one is {rows}x{columns}; export the encoder "
            "alone (encoder_only=True), or to torch under our names"
        )
    for part, width in (("encoder", architecture.width), ("decoder", architecture.decoder_width)):
        if width is not None and f"{part}.embed.weight" in ours:
            table = ours.get(f"{part}.positions.table", sincos_grid((rows, columns), width))
            prefix = table.new_zeros(int(architecture.class_token), width)
            ours[f"{part}.positions.table"] = torch.cat([prefix, table])[None]
    ours["encoder.embed.weight"] = as_convolution(ours["encoder.embed.weight"], architecture.patch_size)
    if naming.split:
        ours = _split(ours)
    renamed = {_rename(name, naming.pairs): value for name, value in ours.items()}
    if None in renamed:
        unknown = [name for name in ours if _rename(name, naming.pairs) is None]
        raise ValueError(f"{naming.kind} has no place for {', '.join(unknown[:5])}; export to torch instead")
    return {str(name): value.contiguous() for name, value in renamed.items()}


def to_ours(tensors: Mapping[str, Tensor], naming: Naming, places: int | None = None) -> tuple[Tensors, list[str]]:
    """Their tensors under our names, and the names that have no place here.

    places: how many patches the positions cover, where it is known; else a square number is assumed.
    A position of the class token is added to the class token. Works on meta tensors, that is, on shapes alone.
    """
    pairs = tuple((theirs, ours) for ours, theirs in naming.pairs)
    renamed = {name: _rename(name, pairs) for name in tensors}
    ours = {new: tensors[name] for name, new in renamed.items() if new is not None}
    for name in ("encoder.embed.weight", "encoder.trunk.norm.weight", "encoder.positions.table"):
        if name not in ours:
            raise ValueError(f"the file lacks {_rename(name, naming.pairs)!r}, so it does not hold a whole encoder")
    weight = ours["encoder.embed.weight"]
    if weight.ndim != 4 or weight.shape[-1] != weight.shape[-2]:
        raise ValueError(f"the patch embedding has shape {tuple(weight.shape)}; expected [width channels side side]")
    ours["encoder.embed.weight"] = as_linear(weight)
    token = ours.get("encoder.class_token")
    for name in ("encoder.positions.table", "decoder.positions.table"):
        if name in ours:
            before, ours[name] = _class_position(ours[name], token is not None, places)
            if name.startswith("encoder") and token is not None:
                ours["encoder.class_token"] = token + before
    return _join(ours) if naming.split else ours, [name for name, new in renamed.items() if new is None]


def _class_position(
    table: Float[Tensor, "*one rows d"], class_token: bool, places: int | None
) -> tuple[Float[Tensor, "1 1 d"] | float, Float[Tensor, "n d"]]:
    """The position of the class token (0 if it has none) and those of the patches."""
    if table.ndim != 3 or table.shape[0] != 1:
        raise ValueError(f"positions have shape {tuple(table.shape)}; expected [1 places width]")
    rows = table.shape[1]
    first = class_token and (rows != places if places is not None else math.isqrt(rows) ** 2 != rows)
    return (table[:, :1], table[0, 1:]) if first else (0.0, table[0])


def as_convolution(weight: Float[Tensor, "d k"], patch_size: int) -> Float[Tensor, "d c p p"]:
    """A linear layer on (row, column, channel) vectors as the kernel of a convolution."""
    return weight.reshape(weight.shape[0], patch_size, patch_size, -1).permute(0, 3, 1, 2)


def as_linear(kernel: Float[Tensor, "d c p p"]) -> Float[Tensor, "d k"]:
    """The inverse of `as_convolution`."""
    return kernel.permute(0, 2, 3, 1).flatten(1)


def _rename(name: str, pairs: Pairs) -> str | None:
    for before, after in pairs:
        pattern = re.escape(before).replace(r"\{i\}", r"(?P<i>\d+)") + r"(?P<end>|\.weight|\.bias)"
        match = re.fullmatch(pattern, name)
        if match:
            return after.replace("{i}", match.groupdict().get("i") or "") + match["end"]
    return None


def _fold_scales(tensors: Mapping[str, Tensor]) -> Tensors:
    """LayerScale multiplied into the last linear layer of its branch: the same function without it."""
    folded = {name: value for name, value in tensors.items() if not name.endswith(".factor")}
    for name in tensors.keys() - folded.keys():
        block, scale, _ = name.rsplit(".", 2)
        last = f"{block}.attention.out" if scale == "scale1" else f"{block}.mlp.2"
        folded[f"{last}.weight"] = folded[f"{last}.weight"] * tensors[name][:, None]
        folded[f"{last}.bias"] = folded[f"{last}.bias"] * tensors[name]
    return folded


def _split(tensors: Tensors) -> Tensors:
    parted = {}
    for name, value in tensors.items():
        if ".attention.qkv." in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                parted[name.replace(".qkv.", f".{part}.")] = third
        else:
            parted[name] = value
    return parted


def _join(tensors: Tensors) -> Tensors:
    joined = {}
    for name, value in tensors.items():
        if ".attention.query." in name:
            thirds = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
            if all(third in tensors for third in thirds):
                joined[name.replace(".query.", ".qkv.")] = torch.cat([tensors[third] for third in thirds])
        elif ".attention.key." not in name and ".attention.value." not in name:
            joined[name] = value
    return joined
