"""Two processes against one with the same total batch: what the loop and the exchange of gradients cost.

Run: python benchmarks/processes.py [--model 192x6x3] [--batch 64] [--steps 30] [--rounds 3]
Each process has one thread. Efficiency is the speed of two processes over twice the speed of one, in turns; the speed
is what the run itself logged, without its first logged interval. Writes benchmarks/results/processes.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def speed(options: argparse.Namespace, processes: int) -> float:
    """Samples per second of a training on the built-in photographs."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        command = [sys.executable, *(launcher if processes > 1 else ()), "-m", "unmask.cli", "pretrain", "photos"]
        command += ["--out", str(run), "--model", options.model, "--batch", str(options.batch), "--quiet"]
        command += ["--steps", str(options.steps), "--log-every", str(options.steps // 5)]
        command += ["--monitor-every", str(10 * options.steps), "--set", "image_size=96", "--set", "patch_size=8"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        rows = [json.loads(line) for line in (run / "speed.jsonl").read_text().splitlines()]
    return statistics.median(row["samples_per_second"] for row in rows[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="192x6x3")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pairs = [(speed(options, 1), speed(options, 2)) for _ in range(options.rounds)]
    found = [two / (2 * one) for one, two in pairs]
    print(f"efficiency of two processes {statistics.median(found):.0%} ({min(found):.0%} to {max(found):.0%})")
    report = {
        "options": vars(options),
        "device": f"{os.cpu_count()} CPU cores",
        "samples per second, one and two processes": pairs,
        "efficiency": statistics.median(found),
        "lowest": min(found),
        "highest": max(found),
    }
    (Path(__file__).parent / "results" / "processes.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
