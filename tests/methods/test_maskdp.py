"""MaskDP: states and actions by turns, plans from what is left visible, and the reference's numbers."""

import pytest
import torch
from torch import nn

from formulas import formula_noise, formula_weights, recorded, wave
from unmask.core import Context, Mask
from unmask.methods.maskdp import MaskDP, tiny
from unmask.parts.masks.ratios import RatioMask
from unmask.parts.nets.state_action import StateActionDecoder, StateActionEncoder

REFERENCE = recorded(__file__, "maskdp_reference.json")
faithful = pytest.mark.faithful("maskdp")
STATES, ACTIONS, STEPS, WIDTH = 3, 2, 6, 16
NORMS = {"direction": "l2", "standardised": "mae", "plain": "none"}


def filled(**settings) -> MaskDP:
    """With the weights that the reference was given, and its epsilon."""
    encoder = StateActionEncoder(STATES, ACTIONS, STEPS, WIDTH, 2, 2)
    method = MaskDP(encoder, StateActionDecoder(encoder, 1), **settings)
    method.load_state_dict(formula_weights({name: value.shape for name, value in method.state_dict().items()}))
    for module in method.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    return method.eval()


def batch() -> dict[str, torch.Tensor]:
    return {
        "state": wave(3 * STEPS * STATES, 0.5).reshape(3, STEPS, STATES).float(),
        "action": wave(3 * STEPS * ACTIONS, 0.25).reshape(3, STEPS, ACTIONS).float(),
    }


def context(seed: int = 0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


class Noise(Context):
    """Gives the noise that the reference was given."""

    def uniform(self, *shape, device="cpu"):
        return formula_noise(*shape)


def mask_of(ratio: str) -> Mask:
    return RatioMask(float(ratio))(filled(), batch(), Noise(generator=torch.Generator()))


@faithful
@pytest.mark.parametrize("ratio", REFERENCE["ratios"])
def test_masks_and_predictions_are_the_references(ratio):
    mask, wanted = mask_of(ratio), REFERENCE["ratios"][ratio]
    assert mask.hidden.int().tolist() == wanted["hidden"]
    states, actions = filled().predictions(batch(), mask)
    torch.testing.assert_close(states.flatten(), torch.tensor(wanted["states"]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(actions.flatten(), torch.tensor(wanted["actions"]), atol=1e-5, rtol=1e-5)


@faithful
@pytest.mark.parametrize("ratio", REFERENCE["ratios"])
@pytest.mark.parametrize("target", NORMS)
def test_losses_are_the_references(ratio, target):
    wanted, mask = REFERENCE["ratios"][ratio][NORMS[target]], mask_of(ratio)
    total = filled(target=target).losses(batch(), context(), mask)
    assert {name: value.item() for name, value in total.items()} == pytest.approx(
        {"state": wanted["state"], "action": wanted["action"]}, rel=1e-5
    )
    masked = filled(target=target, score="masked").losses(batch(), context(), mask)
    assert masked["masked"].item() == pytest.approx(wanted["masked"], rel=1e-5)


@faithful
@pytest.mark.parametrize(
    ("name", "goals", "ahead"),
    [
        ("one goal, 4 ahead", 1, [4]),
        ("one goal, 1 ahead", 1, [1]),
        ("one goal, 9 ahead", 1, [9]),  # longer than it was made for: positions are interpolated
        ("goals, 2 and 5 ahead", 2, [2, 5]),
        ("goals, 3, 6 and 8 ahead", 3, [3, 6, 8]),
    ],
)
def test_plans_to_goals_are_the_references(name, goals, ahead):
    state = batch()["state"]
    found = filled().plan(state[:1, :1], torch.zeros(1, 0, ACTIONS), state[1:2, :goals], ahead)
    torch.testing.assert_close(found[0], torch.tensor(REFERENCE["plans"][name]), atol=1e-5, rtol=1e-5)


@faithful
@pytest.mark.parametrize("ahead", [1, 3])
def test_going_on_from_a_prompt_is_the_references(ahead):
    found = batch()
    plan = filled().plan(found["state"][2:, :4], found["action"][2:, :3], None, [ahead])
    wanted = torch.tensor(REFERENCE["plans"][f"prompt of 3, {ahead} ahead"]).reshape(ahead, ACTIONS)
    torch.testing.assert_close(plan[0], wanted, atol=1e-5, rtol=1e-5)


@faithful
def test_counts_of_states_and_actions_vary_but_their_sum_is_exact():
    method, found = filled(), {"state": torch.zeros(64, 6, 3), "action": torch.zeros(64, 6, 2)}
    hidden = RatioMask((0.55,))(method, found, context()).hidden
    assert (hidden.sum(1) == 12 - int(12 * 0.45)).all()
    assert len(set(hidden[:, ::2].sum(1).tolist())) > 2


@faithful
def test_one_ratio_is_drawn_for_a_step_and_all_occur():
    method, found = tiny()
    counts = {int(c) for seed in range(60) for c in method.sampler(method, found, context(seed)).hidden.sum(1).unique()}
    assert counts == {12 - int(12 * (1 - ratio)) for ratio in (0.15, 0.35, 0.55, 0.75)} | {11}  # one place stays seen
    assert all(len(method.sampler(method, found, context(seed)).hidden.sum(1).unique()) == 1 for seed in range(9))


@faithful
def test_goals_feed_two_tokens_to_the_encoder(monkeypatch):
    method, lengths = filled(), []
    inner = method.encoder.trunk.forward
    monkeypatch.setattr(method.encoder.trunk, "forward", lambda x, *rest: lengths.append(x.shape[1]) or inner(x, *rest))
    method.plan(torch.zeros(1, 1, 3), torch.zeros(1, 0, 2), torch.ones(1, 1, 3), [4])
    assert lengths == [2]


@faithful
def test_actions_lie_between_minus_1_and_1():
    method, found = filled(), batch()
    nn.init.constant_(method.decoder.action_head[2].bias, 50.0)
    actions = method.predictions({name: 100 * value for name, value in found.items()}, mask_of("0.55"))[1]
    assert actions.abs().max() <= 1


@faithful
def test_tuning_moves_as_many_numbers_as_the_references():
    method = filled()
    assert sum(p.numel() for p in method.tunable("decoder")) == REFERENCE["tuned by decoder"]
    assert set(method.tunable("linear")) < set(method.tunable("decoder")) < set(method.tunable("all"))
    assert method.decoder.mask_token not in set(method.tunable("all"))


def test_what_is_hidden_is_not_seen():
    method, found, mask = filled(), batch(), mask_of("0.55")
    hidden = mask.hidden.unflatten(1, (-1, 2))
    other = {
        name: torch.where(hidden[:, :, i : i + 1], found[name] + 9, found[name])
        for i, name in enumerate(("state", "action"))
    }
    for one, two in zip(method.predictions(found, mask), method.predictions(other, mask), strict=True):
        assert torch.equal(one, two)


def test_a_state_of_zeros_has_no_direction():
    found = batch() | {"state": torch.zeros(3, STEPS, STATES)}
    assert torch.isfinite(filled().losses(found, context())["state"])


def test_features_are_the_mean_of_all_tokens_after_every_block():
    found = filled().features(batch())
    assert (found.grid, found.tokens.shape, len(found.blocks)) == ((STEPS, 2), (3, 12, WIDTH), 2)
    torch.testing.assert_close(found.pooled, found.tokens.mean(1))


def test_views_show_a_mask_of_training_and_start_and_goal():
    some, ends = filled().views(batch(), context())
    assert some.prediction.shape == (3, STEPS, STATES + ACTIONS)
    assert ends.seen[0].nonzero().tolist() == [[row, c] for row in (0, STEPS - 1) for c in range(STATES)]
    assert torch.equal(ends.seen, ~ends.counted)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: StateActionEncoder(3, 2, 1), "1 steps of 3 states and 2 actions are no sequence"),
        (lambda: MaskDP(StateActionEncoder(), score="some"), "score 'some' is unknown; choose one of total, masked"),
        (lambda: MaskDP(StateActionEncoder(), target="x"), "target 'x' is unknown"),
        (lambda: RatioMask((0.5, 1.0)), "mask ratio 1.0"),
        (lambda: filled().tunable("heads"), "what is tuned 'heads' is unknown"),
    ],
)
def test_settings_that_cannot_be(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    ("states", "actions", "goals", "ahead"), [(2, 0, 1, [3]), (1, 0, 2, [3]), (1, 0, 1, [0]), (1, 1, 1, [3])]
)
def test_a_plan_needs_the_actions_between_its_states_and_the_steps_of_its_goals(states, actions, goals, ahead):
    with pytest.raises(ValueError, match="actions between them"):
        filled().plan(torch.zeros(1, states, 3), torch.zeros(1, actions, 2), torch.zeros(1, goals, 3), ahead)
