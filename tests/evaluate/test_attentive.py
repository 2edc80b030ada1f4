import pytest
import torch
import torch.nn.functional as F

from unmask.core import Features, Method
from unmask.evaluate.attentive import Attentive, Frozen, Pooling


class Marked(Method):
    """Tokens of noise, one of which, at a random place, says the class: the mean over places hides it."""

    def features(self, batch):
        generator = torch.Generator().manual_seed(int(batch["index"][0]))
        b = len(batch["index"])
        tokens = torch.randn(b, 12, 16, generator=generator)
        place = torch.randint(12, (b,), generator=generator)
        tokens[torch.arange(b), place] = 3 * F.one_hot(batch["mark"], 8).repeat_interleave(2, -1).float()
        return Features(tokens.mean(1), tokens)


def marked(count, seed):
    marks = torch.randint(4, (count,), generator=torch.Generator().manual_seed(seed))
    index = torch.arange(count) + 10_000 * seed
    return [
        {"index": index[i : i + 50], "mark": marks[i : i + 50], "label": marks[i : i + 50]} for i in range(0, count, 50)
    ]


def test_the_short_form_is_cross_attention():
    """Against scaled dot-product attention with keys and values of every token."""
    torch.manual_seed(0)
    probe, tokens = Pooling(16, 3).eval(), torch.randn(5, 7, 16)
    probe.query.data.normal_()
    keys = torch.einsum("bnd,hed->bhne", tokens, probe.key)
    values = torch.einsum("bnd,hed->bhne", tokens, probe.value)
    query = probe.query[None, :, None].expand(5, -1, 1, -1)
    plain = F.scaled_dot_product_attention(query, keys, values).squeeze(2).flatten(1)
    tokens_as_normed = tokens / (1 + 1e-6) ** 0.5  # untrained running statistics: mean 0, variance 1
    assert torch.allclose(probe(tokens_as_normed), probe.head(plain), atol=1e-4)  # epsilon of the norm


def test_the_order_of_tokens_does_not_matter():
    probe, tokens = Pooling(16, 3).eval(), torch.randn(2, 7, 16)
    assert torch.allclose(probe(tokens), probe(tokens[:, torch.randperm(7)]), atol=1e-5)


def test_padding_is_not_looked_at():
    probe, tokens = Pooling(16, 3).eval(), torch.randn(2, 7, 16)
    spoilt = tokens.clone()
    spoilt[:, 4:] = 100.0
    places = (torch.arange(7) < 4).expand(2, 7)
    assert torch.equal(probe(tokens, places), probe(spoilt, places))
    assert torch.allclose(probe(tokens, places), probe(tokens[:, :4]), atol=1e-6)


def test_places_follow_the_valid_pixels(method, batches):
    """The right half of every picture is padding: two of four columns of patches stand for nothing."""
    batch = batches(4)[0]
    batch["image_valid"] = (torch.arange(16) < 8).expand(4, 16, 16)
    (rows,) = Frozen(method, [batch], "cpu", None)
    assert rows["places"].reshape(4, 4, 4)[:, :, :2].all()
    assert not rows["places"].reshape(4, 4, 4)[:, :, 2:].any()


def test_any_width_finds_a_number_of_heads():
    for width, heads in ((16, 8), (12, 4), (7, 1)):
        assert Pooling(width, 2).heads == heads


def test_it_finds_the_one_token_that_matters():
    parts = {"train": marked(1000, 1), "validation": marked(100, 2), "test": marked(200, 3)}
    outcome = Attentive(updates=0, epochs=12, rates=(1e-2,), batch=50).run(Marked(), parts)
    assert outcome.test > 0.9


def test_every_block_is_tried_and_the_encoder_stays_as_it_was(method, batches):
    before = {name: value.clone() for name, value in method.state_dict().items()}
    parts = {"train": batches(96), "validation": batches(48, seed=1), "test": batches(48, seed=2)}
    outcome = Attentive(updates=0, epochs=10, rates=(1e-2, 1e-3), batch=32).run(method, parts)
    assert list(outcome.validation) == [1, 2]
    assert outcome.test > 0.8
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_few_data_are_seen_in_more_epochs(method, batches):
    passes = []

    class Counted(list):
        def __iter__(self):
            passes.append(1)
            return super().__iter__()

    rows = list(Frozen(method, batches(32, 32), "cpu", None))
    Attentive(epochs=1, updates=7, batch=32, memory=0).train(Counted(rows), 32, 3, "cpu")
    assert len(passes) == 7


def test_chosen_blocks_only(method, batches):
    parts = dict.fromkeys(("train", "validation", "test"), batches(32))
    assert list(Attentive(updates=0, epochs=1, blocks=(2,)).run(method, parts).validation) == [2]
    with pytest.raises(ValueError, match="blocks 1 to 2"):
        Attentive(updates=0, epochs=1, blocks=(5,)).run(method, parts)


def test_stored_and_streamed_tokens_learn_alike(method, batches):
    parts = {"train": batches(96), "validation": batches(48, seed=1), "test": batches(48, seed=2)}
    stored, streamed = (
        Attentive(10, (1e-2,), 32, memory=m, updates=0).run(method, parts).test for m in (1 << 30, 1 << 17)
    )
    assert min(stored, streamed) > 0.8


def test_unlabelled_samples_are_left_out(method, batches):
    def half(count, seed):
        return [
            {**b, "label": b["label"].where(torch.arange(len(b["label"])) % 2 == 0, -1)}
            for b in batches(count, seed=seed)
        ]

    parts = {"train": half(96, 0), "validation": half(48, 1), "test": half(48, 2)}
    assert Attentive(updates=0, epochs=1).run(method, parts).classes == 3


def test_data_without_labels_are_refused(method, batches):
    parts = {part: [{"image": b["image"]} for b in batches(16)] for part in ("train", "validation", "test")}
    with pytest.raises(ValueError, match="the data has no labels"):
        Attentive().run(method, parts)
