"""Checkpoints as the authors of a method released them, with networks that masked autoencoders in general lack.

A method's own names are tried where the file shows its marks; other files are for `published`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unmask.interop import archive
from unmask.interop.architecture import encoder_of, plain
from unmask.interop.header import read_header, read_tensors, weight_files
from unmask.interop.names import Tensors, as_linear, clean_names
from unmask.interop.published import SAME_TABLE, Loaded
from unmask.parts.nets.positions import Positions

Pairs = tuple[tuple[str, str], ...]  # a pattern of theirs, and what becomes of it

BLOCK: Pairs = (
    (r"\.attn\.qkv\.", ".attention.qkv."),
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.2."),
)
VIT: Pairs = (
    (r"^cls_token$", "encoder.class_token"),
    (r"^pos_embed$", "encoder.positions.table"),
    (r"^patch_embed\.proj\.", "encoder.embed."),
    (r"^blocks\.", "encoder.trunk.blocks."),
    (r"^norm\.", "encoder.trunk.norm."),
)
DECODER: Pairs = (
    (r"^mask_token$", "decoder.mask_token"),
    (r"^decoder_pos_embed$", "decoder.positions.table"),
    (r"^decoder_embed\.", "decoder.embed."),
    (r"^decoder_blocks\.", "decoder.trunk.blocks."),
    (r"^decoder_norm\.", "decoder.trunk.norm."),
    (r"^decoder_pred\.", "decoder.head."),
)


def as_it_is(tensors: Tensors, method: nn.Module) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Release:
    """One release: its repository, names that show it, what becomes of names in order, and of tensors afterwards."""

    kind: str
    marks: tuple[str, ...]
    pairs: Pairs
    changed: Callable[[Tensors, nn.Module], Tensors] = as_it_is


def with_keys_unbiased(tensors: Tensors, method: nn.Module) -> Tensors:
    """Biases of queries and values alone, with zeros for the keys; and a head that predicts channel by channel."""
    found = {name: value for name, value in tensors.items() if not name.endswith(("q_bias", "v_bias"))}
    for name, value in tensors.items():
        if name.endswith(".attn.q_bias"):
            block = name.removesuffix(".attn.q_bias")
            parts = [value, torch.zeros_like(value), tensors[f"{block}.attn.v_bias"]]
            found[f"{block}.attention.qkv.bias"] = torch.cat(parts)
    channels = encoder_of(method).channels
    for name in ("head.weight", "head.bias"):
        rows = found[name].flatten(1) if name == "head.weight" else found[name]
        side = round((len(rows) / channels) ** 0.5)
        found[name] = rows.unflatten(0, (channels, side, side)).movedim(0, 2).flatten(0, 2)
    return found


RELEASES = {  # by the class of the method
    "HardPatches": Release(
        "Haochen-Wang409/HPM",
        ("decoder_pred_losspred.weight",),
        (
            (r"^decoder_blocks_losspred\.", "predictor.trunk.blocks."),
            (r"^decoder_norm_losspred\.", "predictor.trunk.norm."),
            (r"^decoder_pred_losspred\.", "predictor.head."),
            *VIT,
            *DECODER,
            *BLOCK,
        ),
    ),
    "CrossMAE": Release(
        "TonyLianLong/CrossMAE",
        ("decoder_blocks.0.cross_attn.q.weight",),
        (
            (r"^wfm\.linear\.weight$", "decoder.mix.weights"),
            (r"^dec_norms\.", "decoder.mix.norms."),
            (r"^decoder_blocks\.(.*)\.mlp\.fc1\.", r"decoder.blocks.\1.wide."),
            (r"^decoder_blocks\.(.*)\.mlp\.fc2\.", r"decoder.blocks.\1.narrow."),
            (r"^decoder_blocks\.", "decoder.blocks."),
            (r"^decoder_norm\.", "decoder.norm."),
            (r"\.(cross|self)_attn\.proj\.", r".\1_attn.out."),
            (r"\.cross_attn\.", ".cross_attention."),
            (r"\.self_attn\.", ".attention."),
            *VIT,
            *DECODER,
            *BLOCK,
        ),
    ),
    "MFM": Release(
        "Jiahao000/MFM",
        ("encoder.patch_embed.proj.weight", "decoder.0.weight"),
        ((r"^encoder\.", ""), (r"^decoder\.0\.", "head."), *VIT, *BLOCK),
        with_keys_unbiased,
    ),
}
ELSEWHERE = {  # released networks that are not here
    "DMJD": (
        "patch_embed1.proj.weight",
        "the release of DMJD has an encoder of three stages, two convolutional",
    )
}


def load_released(method: nn.Module, path: str | Path) -> Loaded | None:
    """Fills the method from the release of its authors; None where the file is none, or the method has none.

    path: a safetensors file, or a folder that holds one. A slow copy of the network becomes equal to it. Raises
    ValueError where a tensor is lacking, of another shape, or has no place here, before anything is changed.
    """
    path, method = Path(path), plain(method)
    if (path.is_file() and archive.is_archive(path)) or not path.exists():
        return None
    files = weight_files(path)
    names = clean_names({name: value for file in files for name, value in read_header(file).tensors.items()})
    mark, why = ELSEWHERE.get(type(method).__name__, ("", ""))
    if mark in names:
        raise ValueError(f"{path} does not fit this model: {why}; only a vision transformer can be filled here")
    release = RELEASES.get(type(method).__name__)
    if release is None or not all(mark in names for mark in release.marks):
        return None
    tensors = clean_names({name: value for file in files for name, value in read_tensors(file).items()})
    ours = placed(release.changed({renamed(n, release.pairs): t for n, t in tensors.items()}, method), method, path)
    state, wanted = method.state_dict(), {n for n, p in method.named_parameters() if p.requires_grad}
    _check(path, ours, state, wanted)
    copies = {name: ours[short] for name in state if (short := _copied(name)) in ours}
    notes = ("the slow copy begins equal to the network",) if copies else ()
    method.load_state_dict({**state, **ours, **copies})
    return Loaded(release.kind, tuple(ours), (), (), notes)


def renamed(name: str, pairs: Pairs) -> str:
    """Their name as ours."""
    for pattern, ours in pairs:
        name = re.sub(pattern, ours, name)
    return name


def placed(tensors: Tensors, method: nn.Module, path: Path) -> Tensors:
    """Patches embedded by a linear layer, and positions apart from that of the class token; fixed ones are left out.

    Raises ValueError where positions that are fixed here are others there.
    """
    found = dict(tensors)
    found["encoder.embed.weight"] = as_linear(found["encoder.embed.weight"])
    for part in ("encoder", "decoder"):
        table = found.pop(f"{part}.positions.table", None)
        if table is None:
            continue
        positions = method.get_submodule(f"{part}.positions")
        if not isinstance(positions, Positions):
            raise TypeError(f"{type(method).__name__} has other positions than those of a grid")
        rows = positions.grid[0] * positions.grid[1]
        before, table = table[:, : table.shape[1] - rows], table[0, table.shape[1] - rows :]
        if table.shape != positions.table.shape:
            raise ValueError(
                f"{path} has positions {tuple(table.shape)} in its {part}; here they are {tuple(positions.table.shape)}"
            )
        if part == "encoder" and before.shape[1]:
            found["encoder.class_token"] = found["encoder.class_token"] + before
        if positions.kind == "learned":
            found[f"{part}.positions.table"] = table
        elif (table.float() - positions.table.float()).abs().max() > SAME_TABLE:
            raise ValueError(
                f"the positions in the {part} of {path} are not sines and cosines, as they are here; create it with"
                " positions='learned'"
            )
    return found


def _copied(name: str) -> str:
    """The name of what a slow copy copies."""
    return name.removeprefix("teacher.network.") if name.startswith("teacher.network.") else ""


def _check(path: Path, ours: Tensors, state: dict[str, Tensor], wanted: set[str]) -> None:
    lacking = sorted(name for name in wanted if name not in ours)
    strange = sorted(name for name in ours if name not in state)
    if lacking:
        raise ValueError(f"{path} lacks {len(lacking)} tensors of this model, such as {lacking[0]}")
    if strange:
        raise ValueError(f"{path} holds {len(strange)} tensors that this model does not have, such as {strange[0]}")
    for name, value in ours.items():
        if value.shape != state[name].shape:
            raise ValueError(f"{path} has {name} of shape {tuple(value.shape)}; here it is {tuple(state[name].shape)}")
