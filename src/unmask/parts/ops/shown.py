"""What a method shows of tokens, for looking at."""

from dataclasses import dataclass

from jaxtyping import Bool, Int64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Shown:
    """What one view sees of a passage, where something is hidden, and what is predicted there.

    seen: as the network gets it, with whatever stands for what is hidden.
    """

    name: str
    truth: Int64[Tensor, "b t"]
    seen: Int64[Tensor, "b t"]
    hidden: Bool[Tensor, "b t"]
    prediction: Int64[Tensor, "b t"]
