"""States and actions of one time line as tokens of one sequence, by turns, encoded and decoded by transformers."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.transformer import Block, Record, Transformer, initialise
from unmask.parts.ops.positions import sincos

SOFTER = 2.0  # positions are divided by this


def by_turns(first: Float[Tensor, "b t d"], second: Float[Tensor, "b t d"]) -> Float[Tensor, "b n d"]:
    """first[0], second[0], first[1], ..."""
    return torch.stack([first, second], 2).flatten(1, 2)


def resized(table: Float[Tensor, "n d"], places: int) -> Float[Tensor, "m d"]:
    """The first places of a table of positions; a longer table is interpolated from the whole."""
    if places <= len(table):
        return table[:places]
    return F.interpolate(table.T[None], size=places, mode="linear", align_corners=False)[0].T


class StateActionEncoder(nn.Module):
    """A token for every state and every action, and a transformer over those that are seen.

    states, actions: numbers of each. length: steps of the sequences that it is made for.
    """

    table: Tensor

    def __init__(
        self, states: int = 3, actions: int = 1, length: int = 64, width: int = 256, depth: int = 3, heads: int = 4
    ):
        super().__init__()
        if length < 2 or states < 1 or actions < 1:
            raise ValueError(f"{length} steps of {states} states and {actions} actions are no sequence; give more")
        self.states, self.actions, self.length, self.width, self.heads = states, actions, length, width, heads
        self.state = Linear(states, width)
        self.action = Linear(actions, width)
        self.trunk = Transformer(width, depth, heads)
        self.register_buffer("table", positions_of(2 * length, width), persistent=False)
        initialise(self.state)
        initialise(self.action)

    def forward(
        self, state: Float[Tensor, "b t s"], action: Float[Tensor, "b t a"], mask: Mask, record: Record | None = None
    ) -> Float[Tensor, "b n d"]:
        tokens = by_turns(self.state(state), self.action(action))
        tokens = tokens + resized(self.table, tokens.shape[1])
        return self.trunk(mask.visible(tokens), mask.valid, record)


class StateActionDecoder(nn.Module):
    """Every place, mask tokens where nothing is seen, to a state or an action; actions lie between -1 and 1."""

    table: Tensor

    def __init__(self, encoder: StateActionEncoder, depth: int = 2):
        super().__init__()
        width = encoder.width
        self.state, self.action = Linear(width, width), Linear(width, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.blocks = nn.ModuleList(Block(width, encoder.heads) for _ in range(depth))
        self.state_head = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), Linear(width, encoder.states))
        self.action_head = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), Linear(width, encoder.actions), nn.Tanh())
        self.register_buffer("table", positions_of(2 * encoder.length, width), persistent=False)
        self.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self, tokens: Float[Tensor, "b m d"], mask: Mask
    ) -> tuple[Float[Tensor, "b t s"], Float[Tensor, "b t a"]]:
        full = mask.complete(tokens, self.mask_token)
        x = by_turns(self.state(full[:, ::2]), self.action(full[:, 1::2])) + resized(self.table, full.shape[1])
        for block in self.blocks:
            x = block(x)
        return self.state_head(x[:, ::2]), self.action_head(x[:, 1::2])


def positions_of(places: int, width: int) -> Float[Tensor, "n d"]:
    """Sine-cosine positions, softened."""
    return (sincos(torch.arange(places, dtype=torch.float64), width) / SOFTER).float()
