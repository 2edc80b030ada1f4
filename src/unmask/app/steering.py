"""Moving activations along the direction of a latent: steer."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from unmask.app.looking import batches_of, pictures_of
from unmask.app.runs import load, new_file


def steer(
    run: str | Path,
    data: str | Path | None = None,
    *,
    latent: int,
    strength: float = 5.0,
    out: str | Path,
) -> dict[str, Any]:
    """Writes activations as they would be if a latent of the run's sparse autoencoder were so much stronger.

    data: default is the run's own. out: a .npy file, one row for every activation that can be used, in their units.
    Raises ValueError for a method without directions, or a latent that is not there.
    """
    out = Path(out)
    if out.suffix != ".npy":
        raise ValueError(f"{out} is not a .npy file; name one")
    loaded = load(run)
    method: Any = loaded.method
    if not hasattr(method, "steer"):
        raise ValueError(f"{loaded.config.method} has no directions to steer along; steer needs a sparse autoencoder")
    batches = batches_of(loaded, pictures_of(loaded, data))
    with new_file(out) as file, torch.no_grad():
        rows = np.concatenate([method.steer(batch, latent, strength).numpy() for batch in batches])
        with file.open("wb") as opened:
            np.save(opened, rows)
    return {"file": str(out), "count": len(rows), "width": int(rows.shape[1]), "left_out": dict(batches.faults)}
