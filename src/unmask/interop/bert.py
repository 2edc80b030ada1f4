"""Weights under the names of transformers' BertForMaskedLM, which released files of BERT's family use."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from unmask.interop.header import read_header, read_tensors, weight_files

BLOCK = {
    "attention.output.dense": "attention.out",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "mlp.0",
    "output.dense": "mlp.2",
    "output.LayerNorm": "norm2",
}
OUTSIDE = {
    "embeddings.word_embeddings": "encoder.tokens",
    "embeddings.position_embeddings": "encoder.positions",
    "embeddings.token_type_embeddings": "encoder.types",
    "embeddings.LayerNorm": "encoder.norm",
    "cls.predictions.transform.dense": "head.transform",
    "cls.predictions.transform.LayerNorm": "head.norm",
    "cls.predictions": "head",  # its bias
}
LEFT_OUT = ("pooler.", "cls.predictions.decoder.", "cls.seq_relationship.", "embeddings.position_ids")
OLD = {"gamma": "weight", "beta": "bias"}  # of norms in the first files


def holds_bert(path: Path) -> bool:
    """Whether this is a safetensors file, or a folder of them, with such names."""
    if path.suffix not in ("", ".safetensors"):
        return False
    names = [name for file in weight_files(path) for name in read_header(file).tensors]
    return any(name.endswith("embeddings.word_embeddings.weight") for name in names)


def ours(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under our names. Raises ValueError for one that has no place here."""
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in theirs.items():
        plain = name.removeprefix("bert.")
        if plain.startswith(LEFT_OUT):
            continue
        stem, _, end = plain.rpartition(".")
        end = OLD.get(end, end)
        block = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", stem)
        if block and block[2].startswith("attention.self."):
            key = f"encoder.blocks.{block[1]}.attention.qkv.{end}"
            parts.setdefault(key, {})[block[2].removeprefix("attention.self.")] = value
        elif block and block[2] in BLOCK:
            found[f"encoder.blocks.{block[1]}.{BLOCK[block[2]]}.{end}"] = value
        elif not block and stem in OUTSIDE:
            found[f"{OUTSIDE[stem]}.{end}"] = value
        else:
            raise ValueError(f"weight {name!r} has no place in an encoder of BERT's kind")
    for key, three in parts.items():
        found[key] = torch.cat([three[name] for name in ("query", "key", "value")])
    return found


def load_bert(method: nn.Module, path: str | Path) -> str:
    """Fills encoder and head with the weights of a safetensors file; says what was found.

    Raises ValueError where a size differs, or a weight of the encoder is missing.
    """
    place = Path(path)
    found = ours({name: value for file in weight_files(place) for name, value in read_tensors(file).items()})
    own = method.state_dict()
    for name, value in found.items():
        if name in own and own[name].shape != value.shape:
            raise ValueError(
                f"{place} does not fit this model: {name} is {tuple(value.shape)}, here {tuple(own[name].shape)};"
                " set model, vocabulary and length as the file has them"
            )
    missing = [name for name in own if name.startswith("encoder.") and name not in found]
    if missing:
        raise ValueError(f"{place} does not fit this model: it has no {missing[0]}")
    method.load_state_dict({name: value for name, value in found.items() if name in own}, strict=False)
    new = sorted(name for name in own if name not in found)
    return f"begins with {place}" + (f"; new: {', '.join(new)}" if new else "")
