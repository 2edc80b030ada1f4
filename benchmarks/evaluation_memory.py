"""What nearest neighbours and linear probes of a million features cost: seconds, and memory beyond the table.

Run: python benchmarks/evaluation_memory.py [--rows 1000000] [--width 768] [--classes 10] [--test 2000]
                                            [--strengths 0.1,0.01] [--probes knn,ridge,linear]
The table lies in a temporary file (3 GB at the defaults), which is removed afterwards. Memory is what the process
itself holds (anonymous pages), sampled while the probe runs, less what it held before. Linux only.
Writes benchmarks/results/evaluation_memory.json.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unmask.evaluate.knn import KNN, accuracy
from unmask.evaluate.linear import logistic, ridge

PIECE = 20_000  # rows that are made at once
SPREAD = 12.0  # of the points of a class, beside distances of about 39 between centres


def held() -> int:
    """Bytes of memory that belong to this process alone, not to files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon; run this on Linux 4.5 or newer")


class Peak:
    """The most memory held within the block, beyond that at its start, and the seconds it took."""

    def __enter__(self) -> "Peak":
        self.start = self.most = held()
        self.running = True
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        self.began = time.perf_counter()
        return self

    def _watch(self) -> None:
        while self.running:
            self.most = max(self.most, held())
            time.sleep(0.005)

    def __exit__(self, *_) -> None:
        self.seconds = time.perf_counter() - self.began
        self.running = False
        self.thread.join()
        self.bytes = self.most - self.start


def table(file, rows: int, width: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points around one centre per class, written to the file and mapped."""
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (rows,), generator=generator)
    for part in labels.split(PIECE):
        points = centres[part] + SPREAD * torch.randn(len(part), width, generator=generator)
        file.write(points.numpy().data)
    file.flush()
    return torch.from_numpy(np.memmap(file, np.float32, mode="c", shape=(rows, width))), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--strengths", default="0.1,0.01")
    parser.add_argument("--probes", default="knn,ridge,linear")
    options = parser.parse_args()
    strengths = [float(word) for word in options.strengths.split(",")]
    report: dict = {"options": vars(options), "threads": torch.get_num_threads(), "probes": {}}
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as second:
        train, labels = table(file, options.rows, options.width, options.classes, seed=1)
        test, truth = table(second, options.test, options.width, options.classes, seed=2)
        probes = {
            "knn": lambda: KNN().fit(train, labels, test, truth, options.classes),
            "ridge": lambda: ridge(train, labels, strengths, classes=options.classes),
            "linear": lambda: logistic(train, labels, strengths, classes=options.classes),
        }
        train.sum()  # all of the file is read once before the clock runs
        for name in options.probes.split(","):
            with Peak() as peak:
                found = [accuracy(one(test), truth) for one in probes[name]()]
            report["probes"][name] = {"seconds": peak.seconds, "megabytes": peak.bytes / 1e6, "accuracy": max(found)}
            print(f"{name:8} {peak.seconds:6.1f} s  {peak.bytes / 1e6:6.0f} MB  accuracy {max(found):.3f}", flush=True)
    report["table, megabytes"] = 4 * options.rows * options.width / 1e6
    out = Path(__file__).parent / "results" / "evaluation_memory.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
