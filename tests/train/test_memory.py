"""Freed memory is kept: the same large tensor costs no page faults the second time."""

import subprocess
import sys

import pytest

CODE = """
import resource, torch
from unmask.train.memory import keep_freed_memory
kept = keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(1 << 24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(kept, min(faults() for _ in range(3)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of other systems has no such option")
def test_a_tensor_that_was_freed_is_given_again_without_page_faults():
    kept, faults = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True
    ).stdout.split()
    assert kept == "False" or int(faults) < 100  # 64 MB, always mapped anew otherwise, are 16,384 pages, four times
