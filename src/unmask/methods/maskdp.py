"""MaskDP: hides states and actions of a time line, and reaches goals by choosing what to leave visible.

New here: states and actions are tokens of one sequence, by turns, seen in both directions; the share that is hidden is
drawn anew for every step. Without further training the network plans: with the state of now and a goal visible, the
actions between are what it predicts; with past steps visible, it goes on as they did.
Paper: F. Liu et al., "Masked Autoencoding for Scalable and Generalizable Decision Making", NeurIPS 2022,
https://arxiv.org/abs/2211.12740
Reference: FangchenLiu/MaskDP_public (MIT), agent/{mdp,mdp_goal,mdp_prompt}.py, agent/modules/attention.py
Differs: states are standardised and actions scaled to [-1, 1] by the data card, where the reference takes those of its
simulator as they are; LayerNorm's epsilon is 1e-6, as in all transformers here (there 1e-5). A state that is 0 has the
direction 0 (there it is no number), and at least one place stays visible (there none of fewer than 20). Where the
reference prompts a single step ahead its positions are added twice (`act_once`, budget 1), and where it tunes its heads
alone ("linear") its encoder is left to move: neither is so here.
Not here: fine-tuning by rewards (its actor and twin critics).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice
from unmask.parts.losses.masked import masked_mean
from unmask.parts.masks.ratios import RatioMask
from unmask.parts.nets.state_action import StateActionDecoder, StateActionEncoder, by_turns
from unmask.parts.nets.transformer import Record

CARD = Card(
    title="MaskDP",
    paper="https://arxiv.org/abs/2211.12740",
    year=2022,
    data="trajectory",
    hides="15 to 95 % of the states and actions, a share drawn for every step",
    predicts="states, up to their length, and actions",
    family="masked autoencoder",
    id=32,
    claim="reaches goals and follows prompts without further training, better than with one small ratio or by cloning",
)

SCORES = ("total", "masked")
TARGETS = ("direction", "standardised", "plain")
TUNED = ("all", "decoder", "linear")
LEAST = 1e-6  # added to the variance of a standardised state


@dataclass(frozen=True, eq=False)
class View:
    """What is seen of a batch, where a prediction counts, and the prediction, states and actions side by side."""

    name: str
    seen: Bool[Tensor, "b t c"]
    counted: Bool[Tensor, "b t c"]
    prediction: Float[Tensor, "b t c"]


class MaskDP(Method):
    """score: "total" counts all states and all actions, "masked" the hidden ones, both kinds alike.

    target: of a state: "direction" (divided by its length), "standardised" (its numbers among each other), or "plain".
    """

    def __init__(
        self,
        encoder: StateActionEncoder,
        decoder: StateActionDecoder | None = None,
        mask: RatioMask | None = None,
        score: str = "total",
        target: str = "direction",
    ):
        super().__init__()
        check_choice("score", score, SCORES)
        check_choice("target", target, TARGETS)
        self.encoder = encoder
        self.decoder = StateActionDecoder(encoder) if decoder is None else decoder
        self.sampler = RatioMask() if mask is None else mask
        self.score, self.target = score, target

    def count(self, batch: Batch) -> int:
        """Places of a batch: its states and its actions."""
        return 2 * batch["state"].shape[1]

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        mask = self.sampler(self, batch, context) if mask is None else mask
        states, actions = self.predictions(batch, mask)
        state = (states.float() - self.state_target(batch["state"])).square().mean(-1)
        action = (actions.float() - batch["action"]).square().mean(-1)
        if self.score == "total":
            return {"state": state.mean(), "action": action.mean()}
        return {"masked": masked_mean(by_turns(state.unsqueeze(-1), action.unsqueeze(-1)).squeeze(-1), mask.hidden)}

    def predictions(self, batch: Batch, mask: Mask) -> tuple[Float[Tensor, "b t s"], Float[Tensor, "b t a"]]:
        """All states, as the target has them, and all actions, from what the mask leaves to see."""
        return self.decoder(self.encoder(batch["state"], batch["action"], mask), mask)

    def state_target(self, state: Float[Tensor, "b t s"]) -> Float[Tensor, "b t s"]:
        if self.target == "direction":
            return F.normalize(state, dim=-1)
        if self.target == "standardised":
            variance, mean = torch.var_mean(state, -1, keepdim=True)
            return (state - mean) / (variance + LEAST).sqrt()
        return state

    def plan(
        self,
        states: Float[Tensor, "b h s"],
        actions: Float[Tensor, "b g a"],
        goals: Float[Tensor, "b k s"] | None,
        ahead: Sequence[int],
    ) -> Float[Tensor, "b p a"]:
        """The actions of the next ahead[-1] steps.

        states: up to the one of now. actions: those between them, one fewer. goals: the states to be in after
        ahead[0], ahead[1], ... steps; None goes on as the steps before. Raises ValueError where these do not fit.
        """
        h, last = states.shape[1], ahead[-1]
        if actions.shape[1] != h - 1 or (goals is not None and goals.shape[1] != len(ahead)) or min(ahead) < 1:
            raise ValueError(
                f"{h} states need {h - 1} actions between them, not {actions.shape[1]}, and goals their steps ahead, at"
                f" least 1, not {list(ahead)} for {0 if goals is None else goals.shape[1]} goals"
            )
        steps = h - 1 + last + (goals is not None)
        state, action = (
            states.new_zeros(len(states), steps, states.shape[2]),
            states.new_zeros(len(states), steps, actions.shape[2]),
        )
        hidden = torch.ones(steps, 2, dtype=torch.bool, device=states.device)
        state[:, :h], action[:, : h - 1] = states, actions
        hidden[:h, 0], hidden[: h - 1, 1] = False, False
        if goals is not None:
            places = [h - 1 + steps_to for steps_to in ahead]
            state[:, places], hidden[places, 0] = goals, False
        mask = Mask.of(hidden.flatten().expand(len(states), -1))
        return self.predictions({"state": state, "action": action}, mask)[1][:, h - 1 : h - 1 + last]

    def tunable(self, what: str = "decoder") -> list[torch.nn.Parameter]:
        """What fine-tuning moves: "all" but the embeddings, the "decoder" with its heads, or the heads ("linear")."""
        check_choice("what is tuned", what, TUNED)
        parts: list[torch.nn.Module] = [self.decoder.state_head, self.decoder.action_head]
        if what != "linear":
            parts += [self.decoder.state, self.decoder.action, self.decoder.blocks]
        if what == "all":
            parts.append(self.encoder.trunk)
        return [parameter for part in parts for parameter in part.parameters()]

    def features(self, batch: Batch) -> Features:
        """tokens: states and actions by turns. pooled: their mean."""
        b, t = batch["state"].shape[:2]
        record = Record()
        tokens = self.encoder(
            batch["state"], batch["action"], Mask.nothing(b, 2 * t, device=batch["state"].device), record
        )
        blocks = (*(block.mean(1) for block in record.tokens[:-1]), tokens.mean(1))
        return Features(blocks[-1], tokens, (t, 2), blocks)

    @torch.no_grad()
    def views(self, batch: Batch, context: Context) -> list[View]:
        """A mask as in training, and the first and the last state as start and goal."""
        state, action = batch["state"], batch["action"]
        ends = torch.ones(state.shape[1], 2, dtype=torch.bool, device=state.device)
        ends[[0, -1], 0] = False
        masks = {
            "some states and actions": self.sampler(self, batch, context),
            "start and goal": Mask.of(ends.flatten().expand(len(state), -1)),
        }
        shown = []
        for name, mask in masks.items():
            states, actions = self.predictions(batch, mask)
            if self.target == "direction":
                states = states * state.norm(dim=-1, keepdim=True)
            elif self.target == "standardised":
                variance, mean = torch.var_mean(state, -1, keepdim=True)
                states = states * (variance + LEAST).sqrt() + mean
            hidden = mask.hidden.unflatten(1, (-1, 2))
            both = torch.cat(
                [part.expand_as(x) for part, x in zip(hidden.split(1, 2), (state, action), strict=True)], 2
            )
            shown.append(View(name, ~both, both, torch.cat([states, actions], 2)))
        return shown


RECIPE = Recipe(
    optimizer="adamw",
    lr=6.7e-5,  # 1e-4 at batches of 384
    batch=384,
    epochs=100,
    warmup=0,
    weight_decay=0.0,
    betas=(0.9, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[MaskDP, Batch]:
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(4, 6, 3, generator=generator)
    action = torch.rand(4, 6, 2, generator=generator) * 2 - 1
    return MaskDP(StateActionEncoder(3, 2, 6, width=16, depth=2, heads=2)), {"state": state, "action": action}
