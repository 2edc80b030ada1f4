"""Compiling the repeated blocks of a method."""

from collections.abc import Callable
from functools import partial

import torch

from unmask.core import Method


def compile_blocks(method: Method, say: Callable[[str], None]) -> None:
    """Compiles the repeated blocks; where that fails, says so once and runs them as they are."""
    blocks = [child for m in method.modules() if isinstance(m, torch.nn.ModuleList) for child in m]
    for block in blocks:
        plain = type(block).forward.__get__(block)
        block.forward = partial(_compiled_or_plain, block, torch.compile(plain), plain, say)


def _compiled_or_plain(block, compiled, plain, say, *args, **kwargs):
    try:
        return compiled(*args, **kwargs)
    except Exception as error:  # the compiler's failures have no common class
        reason = (str(error) or type(error).__name__).splitlines()[0]
        say(f"torch.compile failed ({reason}); continuing without it")
        block.forward = plain
        return plain(*args, **kwargs)
