"""Classes of nodes from features of a frozen network, on the published parts."""

from unmask.app.catalogue import card as about
from unmask.app.looking import pictures_of
from unmask.app.measure import Asked, Measured
from unmask.app.measuring import spread
from unmask.app.runs import Loaded
from unmask.data.evaluation import evaluation_batches
from unmask.data.graph_views import GraphView
from unmask.evaluate.nodes import TESTING, TRAINING, VALIDATING, divided_nodes, node_classification, node_table

BATCH = 32


def measure(loaded: Loaded, asked: Asked) -> Measured:
    """Test accuracy of a linear probe and of nearest neighbours, beside those of raw features, smoothed and not.

    Nodes without a published part are divided at random by the seed where the data publishes none at all.
    """
    if about(loaded.config.method).data != "graph":
        raise ValueError(
            f"{loaded.config.method} does not work on graphs; node_classification needs a method that does"
        )
    source = pictures_of(loaded, asked.data)
    source = source if asked.limit is None else spread(source, asked.limit)
    batches = evaluation_batches(source, loaded.card, GraphView(labels=True), BATCH, budget=1.0)
    table = divided_nodes(node_table(loaded.method, batches, asked.device), asked.seed)
    counts = {
        name: len(table.rows(part))
        for name, part in (("train", TRAINING), ("validation", VALIDATING), ("test", TESTING))
    }
    scores = node_classification(table, device=asked.device)
    head = "accuracy in % on test nodes; " + ", ".join(f"{count:,} {name}" for name, count in counts.items())
    width = max(map(len, scores))
    rows = [
        f"{name:{width}}" + "".join(f"{100 * score:>9.1f}" for score in row.values()) for name, row in scores.items()
    ]
    titles = f"{'':{width}}" + "".join(f"{probe:>9}" for probe in next(iter(scores.values())))
    return Measured({"nodes": counts, "scores": scores}, "\n".join([head, titles, *rows]), dict(batches.faults))
