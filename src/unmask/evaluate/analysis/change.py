"""How far the relations at one time are from the final ones."""

from jaxtyping import Float
from torch import Tensor


def relation_divergence(
    relations: Float[Tensor, "b n n"], final: Float[Tensor, "b n n"], temperature: float = 1.0
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    """KL(now || final) and KL(final || now) in nats, averaged over rows; both 0 when the relations are the final ones.

    Every row of relations becomes a distribution by a softmax of relations / temperature.
    """
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} must be positive")
    now, last = (x.div(temperature).log_softmax(-1) for x in (relations.double(), final.double()))
    forward, backward = (p.exp().mul(p - q).sum(-1).mean(-1) for p, q in ((now, last), (last, now)))
    return forward.to(relations.dtype), backward.to(relations.dtype)
