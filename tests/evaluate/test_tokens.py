import pytest
import torch
import torch.nn.functional as F

from unmask.core import Features, Method
from unmask.evaluate.features import represent
from unmask.evaluate.pixels import RawPixels
from unmask.evaluate.tokens import Shuffled, block_tokens, patch_side, trunk_blocks
from unmask.methods import mae
from unmask.parts.nets.vit import ViT


def rows(count, classes=4):
    labels = torch.arange(count) * classes // count
    return [{"value": torch.arange(i, i + 5), "label": labels[i : i + 5]} for i in range(0, count, 5)]


def test_the_mean_of_the_tokens_is_what_the_features_say_of_a_block(method, batches):
    batch = batches(8)[0]
    tokens, grid = block_tokens(method.eval(), batch)
    assert grid == (4, 4)
    for block, vector in zip(tokens, represent(method, batch).blocks, strict=True):
        assert torch.allclose(block.mean(1), vector, atol=1e-6)  # float32 sums


def test_no_hook_is_left_behind(method, batches):
    block_tokens(method, batches(8)[0])
    assert not any(block._forward_hooks for block in trunk_blocks(method))


def test_an_encoder_of_one_block_gives_one_level(batches):
    single = mae.MAE(ViT("16x1x2", image_size=16, patch_size=4))
    tokens, _ = block_tokens(single, batches(8)[0])
    assert len(tokens) == 1


def test_a_network_without_blocks_gives_its_last_tokens(batches):
    tokens, grid = block_tokens(RawPixels(4), batches(8)[0])
    assert [tuple(x.shape) for x in tokens] == [(8, 16, 48)]
    assert grid == (4, 4)


def test_a_network_without_tokens_is_refused(batches):
    class Vector(Method):
        def features(self, batch):
            return Features(batch["image"].flatten(1))

    with pytest.raises(ValueError, match="no tokens"):
        block_tokens(Vector(), batches(8)[0])
    with pytest.raises(ValueError, match="patch_size"):
        patch_side(Vector())


def test_the_side_of_a_patch_is_the_encoders(method):
    assert patch_side(method) == 4


def test_every_pass_gives_each_row_once_in_another_order():
    mixed = Shuffled(rows(40), 8, 1 << 20, torch.Generator().manual_seed(0))
    first, second = ([value for batch in mixed for value in batch["value"].tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    assert first != sorted(first)


def test_rows_that_fit_are_read_once():
    reads = []

    class Counted:
        def __iter__(self):
            reads.append(1)
            return iter(rows(40))

    mixed = Shuffled(Counted(), 8, 1 << 20, torch.Generator())
    for _ in range(3):
        list(mixed)
    assert len(reads) == 1


def test_rows_that_do_not_fit_are_mixed_in_windows():
    """Sixteen bytes a row: windows of 15 rows, the fourth part of them in each pass."""
    mixed = Shuffled(rows(60, classes=30), 6, 220, torch.Generator().manual_seed(0))
    values = torch.cat([batch["value"] for batch in mixed])
    assert torch.equal(values.sort().values, torch.arange(60))
    for number, window in enumerate(values.split(15)):
        assert set(window.tolist()) == set(range(15 * number, 15 * number + 15))
    assert mixed.whole is None


def test_windows_of_one_class_are_refused():
    with pytest.raises(ValueError, match="random order"):
        list(Shuffled(rows(60, classes=2), 6, 220, torch.Generator()))


def test_labels_stay_with_their_rows():
    given = [{"value": torch.arange(20), "label": torch.arange(20) % 3}]
    for batch in Shuffled(given, 6, 1 << 20, torch.Generator().manual_seed(0)):
        assert torch.equal(batch["label"], batch["value"] % 3)
        assert F.one_hot(batch["label"], 3).sum() == len(batch["label"])


def test_a_batch_without_validity_counts_as_valid_beside_one_that_has_it():
    image = torch.zeros(2, 1, 4, 4)
    given = [{"image": image, "label": torch.tensor([0, 1])}]
    given.append({**given[0], "image_valid": torch.zeros(2, 4, 4, dtype=torch.bool)})
    (rows,) = Shuffled(given, 4, 1 << 20, torch.Generator())
    assert rows["image_valid"].flatten(1).all(1).sum() == 2
