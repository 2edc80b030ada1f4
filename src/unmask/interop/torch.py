"""To plain torch: safetensors and JSON, and if wanted a program that needs no code of ours."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from unmask.data.card import DataCard
from unmask.interop.architecture import architecture_of
from unmask.interop.features import FeatureGraph
from unmask.interop.folder import Exported, about, exported, new_folder, weights, write_json, write_tensors
from unmask.interop.names import MAE, to_theirs

NAMES = ("unmask", "facebookresearch/mae")


def export(
    method: nn.Module,
    folder: str | Path,
    card: DataCard | None = None,
    encoder_only: bool = False,
    names: str = "unmask",
    program: bool = False,
    information: Mapping | None = None,
) -> Exported:
    """Encoder and decoder as model.safetensors and config.json.

    names: "unmask" keeps everything as it is; "facebookresearch/mae" are the names of MAE's released code.
    program: also write encoder.pt2, a torch.export program from pictures to tokens and pooled features.
        Such a file can run code when it is loaded: load only those that you wrote.
    """
    if names not in NAMES:
        raise ValueError(f"names {names!r} are unknown; choose one of {', '.join(NAMES)}")
    architecture = architecture_of(method, encoder_only)
    description = about(method, card, encoder_only, information)
    tensors = weights(method, encoder_only)
    with new_folder(folder) as partial:
        if names == MAE.kind:
            tensors = to_theirs(tensors, MAE, architecture)
        write_tensors(partial / "model.safetensors", tensors, description)
        write_json(partial / "config.json", {"names": names, "unmask": description})
        if program:
            graph = FeatureGraph(method).eval()
            batch = {"image": {0: torch.export.Dim("batch")}}
            torch.export.save(
                torch.export.export(graph, (graph.example(),), dynamic_shapes=batch), partial / "encoder.pt2"
            )
    usage = f'from safetensors.torch import load_file\ntensors = load_file("{folder}/model.safetensors")'
    if program:
        usage += f'\nimport torch\nmodel = torch.export.load("{folder}/encoder.pt2").module()'
        usage += "\ntokens, pooled = model(pictures)"
    return exported(folder, usage, card)
