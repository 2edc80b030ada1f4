"""Shapes in signatures are checked at run time in every test."""

import torch
from jaxtyping import install_import_hook

install_import_hook("unmask", "shape_checks.check")
torch.set_num_threads(1)
