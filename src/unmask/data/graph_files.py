"""Files of graphs: one large graph, many small ones in one file, one file a graph, or text files of a benchmark."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from unmask.data.source import Item
from unmask.data.stored import open_stored

LAYOUTS = (
    "a .npz file with edge_index [2, e] and node_attr, node_label or y, a folder or .tar of such files, or a folder"
    " with NAME_A.txt and NAME_graph_indicator.txt"
)
ATTRIBUTES = ("node_attr", "x", "features", "attr")
TYPES = "node_label"
PARTS = {"train": 0, "val": 1, "validation": 1, "test": 2}
INDICATOR = "_graph_indicator.txt"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Graph:
    """One graph as a file has it. Edges lead from the first row to the second; loops and repetitions are left out.

    attributes: a row per node, or None. types: a number per node for its kind, or None. label: class per node, -1 where
    unknown. part: 0 training, 1 validation, 2 test, -1 none. fault: why it cannot be used, "" if it can.
    """

    edge: Int64[np.ndarray, "2 e"]
    count: int
    attributes: Float32[np.ndarray, "v f"] | None = None
    types: Int64[np.ndarray, "v"] | None = None
    label: Int64[np.ndarray, "v"] | None = None
    part: Int64[np.ndarray, "v"] | None = None
    loops: int = 0
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Found:
    """A graph with its name, and what is known of it as a whole."""

    name: str
    graph: Graph
    label: str | None = None
    split: str | None = None
    size: int = 0


def read_graphs(spec: str | Path) -> tuple[list[Found], dict[str, str]]:
    """All graphs that `spec` names, in the order of their names, and what was refused with the reason."""
    path = Path(spec)
    if path.is_dir():
        benchmark = min(path.rglob(f"*{INDICATOR}"), default=None)
        if benchmark is not None:
            return _benchmark(benchmark), {}
    elif path.suffix == ".npz" and path.is_file():
        return _together(path), {}
    elif path.is_file() and path.suffix not in (".tar", ".txt", ".lst"):
        raise ValueError(f"{path} is not a kind of file that holds graphs; DATA is {LAYOUTS}")
    elif not path.exists():
        raise FileNotFoundError(f"{path} does not exist; DATA is {LAYOUTS}")
    source = open_stored(spec, (".npz",), "graphs")
    return [_alone(item, source.data(i)) for i, item in enumerate(source.items)], source.refused


def _alone(item: Item, data: bytes) -> Found:
    """A graph that has a file of its own; a file that cannot be read is a graph with a fault."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            graph = _one({key: file[key] for key in file.files})
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        graph = faulty(f"is no readable .npz file of a graph: {error}")
    return Found(item.name, graph, item.label, item.split, len(data))


def _together(path: Path) -> list[Found]:
    """The graph, or the graphs, of one .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a readable .npz file: {error}") from None
    if "edge_index" not in arrays:
        held = ", ".join(f"{name} {list(a.shape)} {a.dtype}" for name, a in arrays.items()) or "nothing"
        raise ValueError(f"{path} holds {held}; a graph needs edge_index [2, e]. DATA is {LAYOUTS}")
    if "node_ptr" not in arrays:
        graph = _one(arrays)
        if graph.fault:
            raise ValueError(f"the graph of {path} {graph.fault}")
        return [Found(path.name, graph, size=path.stat().st_size)]
    return _many(path, arrays)


def _one(arrays: Arrays) -> Graph:
    """The only graph of a file."""
    attributes, types = _attributes(arrays), arrays.get(TYPES)
    lengths = [len(a) for a in (attributes, types, arrays.get("y")) if a is not None and np.ndim(a)]
    count = lengths[0] if lengths else int(np.max(arrays["edge_index"], initial=-1)) + 1
    label = arrays.get("y")
    if label is not None:
        label = np.where(arrays.get("y_known", np.ones(len(label), bool)), label, -1).astype(np.int64)
    return graph_of(arrays["edge_index"], count, attributes, types, label, _part(arrays, count))


def _attributes(arrays: Arrays) -> np.ndarray | None:
    """Attributes of nodes, dense or as the parts of a sparse matrix of rows."""
    for name in ATTRIBUTES:
        if name in arrays:
            return arrays[name]
        if all(f"{name}_{part}" in arrays for part in ("data", "indices", "indptr", "shape")):
            data, indices, starts, shape = (arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr", "shape"))
            dense = np.zeros(tuple(shape), np.float32)
            dense[np.repeat(np.arange(len(starts) - 1), np.diff(starts)), indices] = data
            return dense
    return None


def _part(arrays: Arrays, count: int) -> np.ndarray | None:
    """The published part of every node, given as numbers of nodes or as a choice among all."""
    given = {name: arrays[key] for name in PARTS for key in (name, f"{name}_mask") if key in arrays}
    if not given:
        return None
    part = np.full(count, -1, np.int64)
    for name, places in given.items():
        part[places] = PARTS[name]
    return part


def _many(path: Path, arrays: Arrays) -> list[Found]:
    """Graphs one after the other, nodes numbered through; `node_ptr` and `edge_ptr` say where each begins."""
    starts = arrays["node_ptr"]
    attributes, types, edge = _attributes(arrays), arrays.get(TYPES), arrays["edge_index"]
    ends = arrays.get("edge_ptr")
    if ends is None:
        owner = np.searchsorted(starts, edge[0], side="right") - 1
        edge, ends = edge[:, np.argsort(owner, kind="stable")], np.searchsorted(np.sort(owner), range(len(starts)))
    labels = arrays.get("y")
    if len(ends) != len(starts) or (labels is not None and len(labels) != len(starts) - 1):
        raise ValueError(
            f"{path} has {len(starts) - 1} graphs by node_ptr, {len(ends) - 1} by edge_ptr"
            + ("" if labels is None else f" and {len(labels)} classes")
        )
    digits, found = len(str(len(starts) - 2)), []
    for i, (first, last) in enumerate(pairwise(starts)):
        graph = graph_of(
            edge[:, ends[i] : ends[i + 1]].astype(np.int64) - first,
            int(last - first),
            None if attributes is None else attributes[first:last],
            None if types is None else types[first:last],
        )
        label = None if labels is None else str(labels[i])
        found.append(Found(f"{path.name}[{i:0{digits}d}]", graph, label, size=int(last - first)))
    return found


def _benchmark(indicator: Path) -> list[Found]:
    """The text files in which graph benchmarks are published: lines for nodes and edges, numbered from 1."""
    stem = indicator.name.removesuffix(INDICATOR)

    def lines(what: str, kind: type) -> np.ndarray | None:
        file = indicator.with_name(f"{stem}_{what}.txt")
        if not file.is_file():
            return None
        try:
            return np.loadtxt(file, delimiter=",", dtype=kind, ndmin=2)
        except ValueError as error:
            raise ValueError(f"{file} is not a table of numbers: {error}") from None

    owner, pairs = lines("graph_indicator", np.int64), lines("A", np.int64)
    if owner is None or pairs is None:
        raise ValueError(f"{indicator.with_name(stem)}_A.txt is missing beside {indicator.name}")
    owner = owner[:, 0]
    order = np.argsort(owner, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    arrays = {
        "edge_index": number[pairs.T - 1],
        "node_ptr": np.searchsorted(owner[order], np.arange(1, owner.max() + 2)),
    }
    for what, key, kind in (("node_attributes", "node_attr", np.float32), ("node_labels", TYPES, np.int64)):
        values = lines(what, kind)
        if values is not None:
            arrays[key] = values[order] if key == "node_attr" else values[order, 0]
    labels = lines("graph_labels", np.int64)
    if labels is not None:
        arrays["y"] = labels[:, 0]
    return _many(indicator.with_name(f"{stem}_A.txt"), arrays)


def faulty(reason: str) -> Graph:
    """A graph that cannot be used, in the place of one that can."""
    return Graph(np.zeros((2, 0), np.int64), 0, fault=reason)


def graph_of(
    edge: np.ndarray,
    count: int,
    attributes: np.ndarray | None = None,
    types: np.ndarray | None = None,
    label: np.ndarray | None = None,
    part: np.ndarray | None = None,
) -> Graph:
    """The graph of these arrays, or one with a fault where they do not fit together."""
    if edge.ndim != 2 or edge.shape[0] != 2 or (edge.size and edge.dtype.kind not in "ui"):
        return faulty(f"has edges of shape {edge.shape} and type {edge.dtype}; numbers of nodes [2, e] are needed")
    if not count:
        return faulty("has no nodes")
    edge = edge.astype(np.int64)
    if edge.size and not 0 <= edge.min() <= edge.max() < count:
        return faulty(f"has an edge to node {edge.max() if edge.max() >= count else edge.min()} of {count}")
    for name, values in (("attributes", attributes), ("types", types), ("classes", label)):
        if values is not None and len(values) != count:
            return faulty(f"has {name} of {len(values)} nodes, other arrays say {count}")
    if attributes is not None:
        attributes = attributes.astype(np.float32).reshape(count, -1)
        lost = np.argwhere(~np.isfinite(attributes))
        if len(lost):
            return faulty(f"has {len(lost)} attribute(s) that are no number, the first of node {lost[0][0]}")
    loops = edge[0] == edge[1]
    return Graph(
        np.unique(edge[:, ~loops], axis=1) if edge.size else edge,
        count,
        attributes,
        None if types is None else types.astype(np.int64).reshape(count),
        label,
        part,
        int(loops.sum()),
    )


def widths(graphs: Sequence[Graph]) -> tuple[int, int, int]:
    """Attributes of a node, kinds of nodes, and the largest number of edges that arrive at one."""
    usable = [graph for graph in graphs if not graph.fault]
    attributes = {0 if graph.attributes is None else graph.attributes.shape[1] for graph in usable}
    if len(attributes) > 1:
        raise ValueError(
            f"graphs have nodes with {' and '.join(map(str, sorted(attributes)))} attributes; give one kind"
        )
    kinds = max((int(graph.types.max()) + 1 for graph in usable if graph.types is not None), default=0)
    degree = max((int(np.bincount(graph.edge[1], minlength=1).max()) for graph in usable), default=0)
    return attributes.pop() if attributes else 0, kinds, degree
