"""To ONNX: the encoder as a graph from pictures to tokens and pooled features, checked before it is handed over."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unmask.data.card import DataCard
from unmask.interop.features import FeatureGraph
from unmask.interop.folder import Exported, about, exported, new_folder, write_json

TOLERANCE = 1e-4  # of the largest feature; sums run in another order in another engine
MOST_BYTES = 1 << 30  # weights above this go into a file beside the graph; one protobuf holds less than 2 GB


def export(
    method: nn.Module,
    folder: str | Path,
    card: DataCard | None = None,
    information: Mapping | None = None,
    opset: int | None = None,
) -> Exported:
    """The encoder as model.onnx: input "image", outputs "tokens" and "pooled", for any number of pictures.

    opset: version of the operators, or None for torch's choice. RuntimeError if onnxruntime disagrees with torch.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"export to ONNX needs {error.name}: pip install 'unmask[onnx]'") from error
    graph = FeatureGraph(method).eval()
    description = about(method, card, True, information)
    size = sum(p.numel() * p.element_size() for p in graph.parameters())
    with new_folder(folder) as partial:
        path = partial / "model.onnx"
        program: Any = torch.onnx.export(
            graph,
            (graph.example(),),
            input_names=["image"],
            output_names=["tokens", "pooled"],
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
        program.model.metadata_props["unmask"] = json.dumps(description, ensure_ascii=False)
        program.save(path, external_data=size > MOST_BYTES)
        onnx.checker.check_model(path)
        error = largest_error(graph, onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
        if not error <= TOLERANCE:
            raise RuntimeError(f"onnxruntime's features differ from torch's by {error:.2g}; nothing was written")
        write_json(partial / "config.json", {"unmask": description, "largest_relative_error": error})
    usage = (
        "import onnxruntime\n"
        f'session = onnxruntime.InferenceSession("{folder}/model.onnx")\n'
        'tokens, pooled = session.run(None, {"image": pictures})'
    )
    return exported(folder, usage, card)


def largest_error(graph: FeatureGraph, session) -> float:
    """How far the session's features are from the graph's, as a share of the largest one."""
    errors = []
    for samples in (1, 3):
        image = graph.example(samples)
        with torch.no_grad():
            expected = graph(image)
        got = session.run(None, {"image": image.numpy()})
        for ours, theirs in zip(expected, got, strict=True):
            errors.append(float((ours - torch.from_numpy(theirs)).abs().max() / ours.abs().max()))
    return max(errors)
