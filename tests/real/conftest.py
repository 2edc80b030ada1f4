"""Where the real data sets are: the folder in UNMASK_DATA, or `shared/data` beside the repository."""

import os
from pathlib import Path

import pytest


class DataFolder:
    """Finds data sets by file name; a test whose set is absent is skipped with a sentence."""

    def __init__(self, root: Path):
        self.root = root

    def __truediv__(self, name: str) -> Path:
        path = self.root / name
        if not path.exists():
            pytest.skip(f"{name} is not in {self.root}; set UNMASK_DATA to the folder that holds it")
        return path


@pytest.fixture(scope="session")
def data_folder() -> DataFolder:
    """`data_folder / "cifar10.tar"` is the path of that set."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return DataFolder(Path(os.environ.get("UNMASK_DATA", beside)))
