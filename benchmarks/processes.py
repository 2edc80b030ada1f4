"""What two processes cost: the machine's share, and that of the loop and the exchange of gradients.

Run: python benchmarks/processes.py [--model 192x6x3] [--batch 64] [--steps 20] [--rounds 3]
Each process has one thread. In turns: one training alone; two at the same time that know nothing of each other, each
with half of the batch; one training of two processes. Two that are apart against twice the one alone is the machine's
efficiency (cores share caches, memory and matrix units), two together against two apart the loop's own. Speeds are
those that the runs logged, without the first logged interval. Writes benchmarks/results/processes.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def command(options: argparse.Namespace, run: Path, processes: int, batch: int) -> list[str]:
    """A training on the built-in photographs."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    words = [sys.executable, *(launcher if processes > 1 else ()), "-m", "unmask.cli", "pretrain", "photos"]
    words += ["--out", str(run), "--model", options.model, "--batch", str(batch), "--quiet"]
    words += ["--steps", str(options.steps), "--log-every", str(options.steps // 5)]
    return [*words, "--monitor-every", str(10 * options.steps), "--set", "image_size=96", "--set", "patch_size=8"]


def speeds(options: argparse.Namespace, trainings: int, processes: int) -> float:
    """Samples per second of so many trainings at the same time, all together, of so many processes each."""
    batch = options.batch // trainings
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / f"run{number}" for number in range(trainings)]
        started = [
            subprocess.Popen(
                command(options, run, processes, batch),
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for run in runs
        ]
        if any(one.wait() for one in started):
            raise RuntimeError("a training failed; run it by hand to see why")
        rows = [[json.loads(line) for line in (run / "speed.jsonl").read_text().splitlines()][1:] for run in runs]
    return sum(statistics.median(row["samples_per_second"] for row in found) for found in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="192x6x3")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = [(speeds(options, 1, 1), speeds(options, 2, 1), speeds(options, 1, 2)) for _ in range(options.rounds)]
    report: dict = {"options": vars(options), "device": f"{os.cpu_count()} CPU cores", "samples per second": rows}
    for name, found in (
        ("machine", [apart / (2 * one) for one, apart, _ in rows]),
        ("loop", [together / apart for _, apart, together in rows]),
    ):
        report[name] = {"efficiency": statistics.median(found), "lowest": min(found), "highest": max(found)}
        print(f"efficiency of the {name}: {statistics.median(found):.0%} ({min(found):.0%} to {max(found):.0%})")
    (Path(__file__).parent / "results" / "processes.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
