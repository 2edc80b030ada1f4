"""A whole training step of a masked autoencoder, side by side with peers in one run.

Run: python benchmarks/step.py [--model vit_base] [--batch 16] [--precision bf16] [--rounds 5]
Arms are interleaved (A B C A B C); of more than 16 pictures, an arm of ours accumulates parts of 16. Printed are
medians and, against each peer, ratios with their spread. Peak memory is measured in a process of its own for every arm.
Results go to benchmarks/results/step_MODEL_BATCH_PRECISION.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peers import PLACES, SIZE, Arm, arms, check_equal

from unmask.train.memory import keep_freed_memory

STATE = 16  # bytes per parameter: weight, gradient and AdamW's two averages in float32
PER_PICTURE = 160e6  # bytes of ViT-B in float32 in a process that has run all arms, measured with 64 pictures
SPARE = 1.2
PART, ACCUMULATED = 16, ", accumulation "  # pictures of a micro-batch; the arm that accumulates them, and how many
PARTS = {
    "attention": ("scaled_dot_product", "softmax", "bmm", "_Explicit"),
    "products": ("aten::mm", "aten::addmm", "HalfLinear"),
    "optimiser": ("adamw", "Optimizer"),
}


def stepper(arm: Arm, batch: int, bf16: bool, device: torch.device, parts: int = 1) -> Callable[[], float]:
    """A function that does one whole step, loss, backward and AdamW, and says how long it took.

    parts: micro-batches whose gradients are accumulated; the step is the same.
    """
    model = arm.model.to(device).train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    pictures = torch.randn(batch, 3, SIZE, SIZE, device=device)

    def step() -> float:
        began = time.perf_counter()
        optimiser.zero_grad()
        for part in pictures.chunk(parts):
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = arm.loss(part, torch.rand(len(part), PLACES, device=device)) / parts
            loss.backward()
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return step


def matmul_peak(bf16: bool, device: torch.device, side: int = 4096) -> float:
    """The machine's own rate of a large square product, in FLOP/s."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16 if bf16 else torch.float32) for _ in range(2))
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * side**3 / min(seconds)


def step_flops(model: torch.nn.Module, batch: int) -> float:
    """Multiply-adds of linear layers and attention in one step, times two, backward counted twice."""
    encoder, decoder = model.encoder, model.decoder
    total = 0.0
    for part, tokens in ((encoder, PLACES // 4 + 1), (decoder, PLACES + 1)):
        weights = sum(p.numel() for p in part.trunk.blocks.parameters() if p.ndim == 2)
        width = part.trunk.norm.normalized_shape[0]
        total += tokens * (weights + 2 * len(part.trunk.blocks) * tokens * width)
    total += PLACES * decoder.head.weight.numel() + PLACES // 4 * encoder.embed.weight.numel()
    return 6 * total * batch


def by_part(step: Callable[[], float]) -> dict[str, float]:
    """Shares of one step's time by kind of operation."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        step()
    rows = [(row.key, row.self_cpu_time_total) for row in found.key_averages()]
    whole = sum(time for _, time in rows)
    shares = {
        part: sum(time for key, time in rows if any(word in key for word in words)) / whole
        for part, words in PARTS.items()
    }
    return {**shares, "rest": 1 - sum(shares.values())}


def available() -> float:
    """Bytes of memory that are free to use, infinity where the system does not say."""
    try:
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return float(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return float("inf")


def check_memory(parameters: int, batch: int, count: int) -> None:
    """Raises MemoryError before the machine would swap."""
    need = SPARE * (count * STATE * parameters + batch * PER_PICTURE * parameters / 112e6)
    if need > available():
        raise MemoryError(f"{need / 1e9:.1f} GB are needed and {available() / 1e9:.1f} GB free; use a smaller --batch")


def peak_memory(options: argparse.Namespace, name: str) -> dict[str, float]:
    """Peak memory in bytes of a process that trains this arm alone for three steps."""
    command = [sys.executable, __file__, "--only", name, "--rounds", "3"]
    command += ["--model", options.model, "--batch", str(options.batch), "--precision", options.precision]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def alone(options: argparse.Namespace, device: torch.device) -> None:
    """What `peak_memory` runs: prints the peak of the process and what it held before the first step."""
    name, _, parts = options.only.partition(ACCUMULATED)
    arm = next(arm for arm in arms(options.model) if arm.name == name)
    step = stepper(arm, options.batch, options.precision == "bf16", device, int(parts or 1))
    for _ in range(options.rounds):
        step()
    print(json.dumps({"peak": torch.cuda.max_memory_allocated() if device.type == "cuda" else peak_resident()}))


def peak_resident() -> int:
    """Most bytes that this process had in memory; unlike getrusage's, not those of the process that started it."""
    row = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(row.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_base")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    keep_freed_memory()  # as every training here does; all arms have it
    if options.only:
        alone(options, device)
        return
    bf16 = options.precision == "bf16"
    found = list(arms(options.model))
    losses = check_equal(found)
    parameters = sum(p.numel() for p in found[0].model.parameters())
    names = [arm.name for arm in found]
    parts = options.batch // PART
    if parts > 1:
        names.append(f"{found[0].name}{ACCUMULATED}{parts}")
    check_memory(parameters, options.batch, len(names))
    memory = {name: peak_memory(options, name)["peak"] for name in names}  # while this process is still small
    peak = matmul_peak(bf16, device)
    steps = {arm.name: stepper(arm, options.batch, bf16, device) for arm in found}
    if parts > 1:
        steps[names[-1]] = stepper(found[0], options.batch, bf16, device, parts)
    for step in (*steps.values(), *steps.values()):  # twice: the first steps fill caches and pools
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            seconds[name].append(step())
    flops = step_flops(found[0].model, options.batch)
    shares = {name: by_part(step) for name, step in steps.items()} if device.type == "cpu" else {}
    steps.clear()
    report = {
        "options": {k: v for k, v in vars(options).items() if k != "only"},
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"{os.cpu_count()} CPU cores",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "matmul peak, TFLOP/s": peak / 1e12,
        "loss": losses,
        "arms": {},
    }
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds["unmask"], strict=True)]
        report["arms"][name] = row = {
            "seconds": statistics.median(times),
            "pictures per second": options.batch / statistics.median(times),
            "share of matmul peak": flops / statistics.median(times) / peak,
            "memory, GB": memory[name] / 1e9,
            "time relative to unmask": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
            "parts": shares.get(name),
        }
        print(
            f"{name:22} {row['pictures per second']:6.2f} pictures/s  {row['share of matmul peak']:4.0%} of peak"
            f"  {row['memory, GB']:5.2f} GB  {row['time relative to unmask']:.2f}x the time of unmask"
            f" ({row['lowest']:.2f} to {row['highest']:.2f})",
            flush=True,
        )
    out = Path(__file__).parent / "results" / f"step_{options.model}_{options.batch}_{options.precision}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
