"""Relations: cosines, what attention accumulates to, and what builds the hidden places."""

import pytest
import torch

from unmask.parts.ops.relations import attention_rollout, cosine_relations, exploitation

TOLERANCE = 1e-6  # float32 rounding of sums of a few dozen shares


def maps(layers: int, b: int = 2, heads: int = 3, n: int = 7) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(b, heads, n, n, generator=generator).softmax(-1) for _ in range(layers)]


def test_cosines_of_a_case_worked_by_hand():
    tokens = torch.tensor([[3.0, 4.0], [4.0, 3.0], [-3.0, -4.0]])
    expected = torch.tensor([[1.0, 0.96, -1.0], [0.96, 1.0, -0.96], [-1.0, -0.96, 1.0]])
    torch.testing.assert_close(cosine_relations(tokens), expected)


def test_relations_do_not_change_when_feature_space_is_rotated():
    tokens = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1))).Q
    torch.testing.assert_close(cosine_relations(tokens @ rotation), cosine_relations(tokens), atol=1e-5, rtol=0)


def test_rows_of_the_rollout_sum_to_one():
    rollout = attention_rollout(maps(5))
    torch.testing.assert_close(rollout.sum(-1), torch.ones(2, 7), atol=TOLERANCE, rtol=0)


def test_rollout_multiplies_later_layers_from_the_left():
    first, second = (torch.tensor([[[rows]]]).squeeze(2) for rows in ([[0.0, 1], [0, 1]], [[1.0, 0], [1, 0]]))
    a1, a2 = torch.tensor([[0.5, 0.5], [0, 1.0]]), torch.tensor([[1.0, 0], [0.5, 0.5]])
    torch.testing.assert_close(attention_rollout([first, second])[0], a2 @ a1)


def test_rollout_averages_heads_and_adds_the_residual_path():
    heads = torch.tensor([[[[1.0, 0], [0, 1]], [[0, 1.0], [1, 0]]]])
    torch.testing.assert_close(attention_rollout([heads])[0], torch.tensor([[0.75, 0.25], [0.25, 0.75]]))


def test_rollout_without_maps_says_how_to_get_them():
    with pytest.raises(ValueError, match="Record"):
        attention_rollout([])


@pytest.mark.parametrize("prefix", [0, 1, 2])
def test_the_three_shares_add_to_one(prefix):
    hidden = torch.rand(2, 7 - prefix, generator=torch.Generator().manual_seed(3)) < 0.6
    shares = exploitation(attention_rollout(maps(4)), hidden, prefix)
    torch.testing.assert_close(sum(shares), torch.ones(2), atol=TOLERANCE, rtol=0)
    assert prefix or shares[2].abs().max() == 0


def test_shares_of_a_case_worked_by_hand():
    rollout = torch.tensor([[[1.0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4], [0.3, 0.1, 0.1, 0.5], [0.0, 0.6, 0.4, 0.0]]])
    visible, masked, before = exploitation(rollout, torch.tensor([[True, False, True]]))
    # rows 1 and 3 are hidden; column 2 is the only visible place
    torch.testing.assert_close(visible, torch.tensor([0.35]))
    torch.testing.assert_close(masked, torch.tensor([0.6]))
    torch.testing.assert_close(before, torch.tensor([0.05]))


def test_uniform_attention_gives_mask_tokens_their_share_of_the_places():
    rollout = torch.full((1, 8, 8), 1 / 8)
    visible, masked, _ = exploitation(rollout, torch.tensor([[True] * 6 + [False] * 2]), prefix=0)
    torch.testing.assert_close(torch.cat([visible, masked]), torch.tensor([0.25, 0.75]))


def test_a_wrong_prefix_is_refused():
    with pytest.raises(ValueError, match="prefix"):
        exploitation(torch.eye(5).unsqueeze(0), torch.ones(1, 5, dtype=torch.bool), prefix=1)


def test_a_row_that_hides_nothing_is_refused():
    with pytest.raises(ValueError, match="hides nothing"):
        exploitation(torch.eye(5).unsqueeze(0), torch.zeros(1, 4, dtype=torch.bool))
