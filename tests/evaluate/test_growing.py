"""Tables that grow: the same numbers in memory and in files, and nothing left behind."""

import tempfile

import pytest
import torch

from unmask.evaluate import growing
from unmask.evaluate.growing import GrowingTables


def grown(memory: int) -> list[torch.Tensor]:
    tables = GrowingTables(memory)
    for first in range(0, 30, 7):
        rows = torch.arange(first, min(first + 7, 30)).float().unsqueeze(-1)
        tables.append([rows + torch.arange(4) / 8, (rows * 2).expand(-1, 3)])
    return tables.finish()


@pytest.mark.parametrize("memory", [0, 200, 1 << 20])
def test_files_hold_the_same_numbers_as_memory(memory):
    narrow, wide = grown(memory)
    assert torch.equal(narrow, torch.arange(30.0).unsqueeze(-1) + torch.arange(4) / 8)
    assert torch.equal(wide, (2 * torch.arange(30.0)).unsqueeze(-1).expand(-1, 3))


def test_one_file_per_table_and_none_is_left_behind(tmp_path, monkeypatch):
    files = []

    def opened(make=tempfile.TemporaryFile):
        files.append(make())
        return files[-1]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    grown(200)
    assert len(files) == 2
    assert all(file.closed for file in files)
    assert not list(tmp_path.iterdir())


def test_half_precision_rows_are_kept_in_full():
    tables = GrowingTables(0)
    tables.append([torch.tensor([[1.5, 2.0]], dtype=torch.bfloat16)])
    assert torch.equal(tables.finish()[0], torch.tensor([[1.5, 2.0]]))


def test_too_small_a_disk_is_noticed_before_it_is_filled(monkeypatch):
    """Ten appends of 160 bytes are expected; 1,000 bytes are free."""
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(growing.shutil, "disk_usage", lambda folder: usage)
    tables = GrowingTables(100, appends=10)
    with pytest.raises(OSError, match="TMPDIR"):
        tables.append([torch.ones(10, 4)])
