"""The verbs in Python; the command line calls the same functions with the same names and defaults."""

from unmask.app.catalogue import create, methods
from unmask.app.runs import load
from unmask.app.training import pretrain, resume

__all__ = ["create", "load", "methods", "pretrain", "resume"]
