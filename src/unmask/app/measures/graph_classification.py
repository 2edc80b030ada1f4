"""Classes of whole graphs by support vectors in folds, as papers report small sets of graphs."""

import torch

from unmask.app.catalogue import card as about
from unmask.app.looking import batches_of, pictures_of
from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded
from unmask.app.watching import spread
from unmask.core import Batch, to_device
from unmask.evaluate.features import frozen, represent
from unmask.evaluate.folds import in_folds
from unmask.parts.ops.graphs import READOUTS, pack, readout

BATCH = 32


def measure(loaded: Loaded, asked: Asked, *, folds: int = 10, readout: str | None = None) -> Measured:
    """Accuracy of a support vector machine in `folds`, beside sums of raw features, which need no network.

    readout: "mean", "max" or "sum" of the nodes; by default the method's own.
    """
    if about(loaded.config.method).data != "graph":
        raise ValueError(
            f"{loaded.config.method} does not work on graphs; graph_classification needs a method that does"
        )
    if readout is not None and readout not in READOUTS:
        raise ValueError(f"readout {readout!r} is unknown; choose one of {', '.join(READOUTS)}")
    source = pictures_of(loaded, asked.data)
    if not source.classes:
        raise ValueError(
            f"{source.origin} has no classes of graphs; give `y` with one class per graph, or one folder per class, or"
            " measure nodes: --with node_classification"
        )
    batches = batches_of(loaded, source if asked.limit is None else spread(source, asked.limit), BATCH)
    network, raw, labels = [], [], []
    with frozen(loaded.method.to(asked.device)):
        for batch in batches:
            known = batch["label"] >= 0
            network.append(_vectors(loaded, batch, readout, asked.device)[known])
            raw.append(_sums(batch)[known])
            labels.append(batch["label"][known])
    target = torch.cat(labels).numpy()
    scores = {
        name: vars(in_folds(torch.cat(parts).double().numpy(), target, folds, asked.seed))
        for name, parts in (("network", network), ("sums of raw features", raw))
    }
    chance = float(torch.cat(labels).bincount().max()) / len(target)
    lines = [f"{name:22}{100 * s['mean']:>7.1f} ± {100 * s['spread']:.1f}" for name, s in scores.items()]
    head = f"accuracy in % over {folds} folds of {len(target):,} graphs, support vectors"
    text = "\n".join([head, *lines, f"{'commonest class':22}{100 * chance:>7.1f}"])
    return Measured({"graphs": len(target), "scores": scores, "chance": chance}, text, dict(batches.faults))


def _vectors(loaded: Loaded, batch: Batch, kind: str | None, device: torch.device) -> torch.Tensor:
    """One vector for every graph of the batch."""
    found = represent(loaded.method, batch, device)
    if kind is None or found.tokens is None:
        return found.pooled.float().cpu()
    graph = pack(to_device(batch, device))
    return readout(found.tokens[graph.valid].float(), graph.owner, len(graph.valid), kind).cpu()


def _sums(batch: Batch) -> torch.Tensor:
    """The sums of the nodes' raw features of every graph, and how many nodes and edges it has."""
    graph = pack(batch)
    counts = torch.tensor([graph.nodes, graph.edges], dtype=torch.float32).T
    return torch.cat([readout(graph.node, graph.owner, len(graph.valid), "sum"), counts], dim=1)
