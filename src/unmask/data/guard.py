"""Guard: whatever goes wrong inside a decoder becomes a reason for not using this one sample."""

from collections.abc import Callable
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from unmask.data.picture import Unreadable

Given = TypeVar("Given")
Found = TypeVar("Found")


def guarded(decode: Callable[[Given], Found], data: Given) -> Found:
    """decode(data). Decoders meet damaged files with exceptions of every kind: each becomes Unreadable.

    A missing library is no fault of the file.
    """
    try:
        return decode(data)
    except (Unreadable, MemoryError, ImportError):
        raise
    except Image.DecompressionBombError:
        raise Unreadable("has far more pixels than the limit") from None
    except UnidentifiedImageError:
        raise Unreadable("is damaged: its header cannot be read") from None
    except Exception as error:
        raise Unreadable(f"cannot be decoded: {str(error).splitlines()[0] if str(error) else repr(error)}") from None
