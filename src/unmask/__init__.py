"""Masked pretraining on your own unlabelled data."""

__version__ = "0.1.0"

VERBS = (
    "analyse",
    "create",
    "embed",
    "evaluate",
    "export",
    "finetune",
    "generate",
    "info",
    "inspect",
    "load",
    "methods",
    "pretrain",
    "prove",
    "resume",
    "steer",
    "view",
)


def __getattr__(name: str):
    if name in VERBS:
        from unmask import api

        return getattr(api, name)
    raise AttributeError(f"module 'unmask' has no attribute {name!r}; its verbs are {', '.join(VERBS)}")


def __dir__() -> list[str]:
    return [*VERBS, "__version__"]
