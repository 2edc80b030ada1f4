"""Whether a change made something slower: the ratios of two result folders, side by side.

Run: python benchmarks/check.py OLD NEW, for example on a copy of benchmarks/results made before the change.
Only ratios within one run are compared, never seconds, since machines differ. Exit status 1 where a ratio got worse by
more than the tolerance.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

RATIOS = ("ratio", "efficiency", "time relative to unmask")
LOWER_IS_BETTER = ("guided_step",)  # there the ratio is a cost, elsewhere a gain
TOLERANCE = 0.15


def ratios(content, path: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
    """Every ratio in a result, named by where it stands."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in RATIOS and isinstance(value, (int, float)):
                yield " / ".join(path or (key,)), float(value)
            else:
                yield from ratios(value, (*path, key))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    options = parser.parse_args()
    worse = 0
    for path in sorted(options.new.glob("*.json")):
        before = options.old / path.name
        if not before.is_file():
            print(f"{path.stem}: new, nothing to compare")
            continue
        old = dict(ratios(json.loads(before.read_text())))
        sign = -1 if path.stem.startswith(LOWER_IS_BETTER) else 1
        for name, value in ratios(json.loads(path.read_text())):
            if name in old:
                change = sign * (value / old[name] - 1)
                mark = "WORSE " if change < -options.tolerance else ""
                worse += bool(mark)
                print(f"{mark}{path.stem}: {name} {old[name]:.2f} -> {value:.2f}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
