"""Libraries that only some kinds of files need: imported when such a file is read, named where they are missing."""

import importlib
from types import ModuleType


def needed(module: str, library: str, file: str, extra: str) -> ModuleType:
    """The module. Raises ImportError with what to install: "reading .mp4 needs PyAV: pip install 'unmask[video]'"."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"reading {file} needs {library}: pip install 'unmask[{extra}]'") from error
