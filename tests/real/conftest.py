"""Where the real data sets are: the folder in UNMASK_DATA, or `shared/data` beside the repository."""

import os
import tarfile
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def fewer(data_folder, tmp_path_factory) -> Callable[[str, int], Path]:
    """`fewer("cifar10.tar", 500)` is an archive of about so many of that set's files, evenly spaced."""

    def make(name: str, count: int) -> Path:
        path = tmp_path_factory.mktemp("fewer") / name
        with tarfile.open(data_folder / name) as whole, tarfile.open(path, "w") as part:
            files = [member for member in whole if member.isfile()]
            for member in files[:: max(1, len(files) // count)]:
                part.addfile(member, whole.extractfile(member))
        return path

    return make
