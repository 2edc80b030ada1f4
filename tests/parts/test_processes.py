"""Rows of all processes."""

import torch

from unmask.parts.ops.processes import gathered


def test_one_process_gets_its_own_rows():
    x = torch.arange(6).reshape(3, 2)
    assert gathered(x) is x


def test_rows_of_several_processes_come_in_their_order(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather", lambda parts, x: [p.copy_(x + i) for i, p in enumerate(parts)])
    assert gathered(torch.tensor([1, 2])).tolist() == [1, 2, 2, 3]
