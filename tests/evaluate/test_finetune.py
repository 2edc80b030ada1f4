from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

from unmask.evaluate.finetune import FineTune, finetune, score, set_drop_path
from unmask.evaluate.mixing import Mixing

PLAIN = {"drop_path": 0.0, "mixing": Mixing(0, 0, 0), "checks": 1}


def relabelled(batches, change):
    return [{**batch, "label": change(batch["label"])} for batch in batches]


def test_classes_are_learned(method, batches):
    found = finetune(method, batches(96), test=batches(48, seed=2), steps=40, lr=1e-1)
    assert found.metric == "accuracy"
    assert found.test > 0.9
    assert found.losses[-1] < found.losses[0]


def test_numbers_are_learned(method, batches):
    def number(label):
        return 7.0 * label + 100

    train, test = relabelled(batches(96), number), relabelled(batches(48, seed=2), number)
    found = finetune(method, train, test=test, steps=40, lr=1e-1, task="regression")
    assert found.metric == "R squared"
    assert found.test > 0.7
    assert 95 < float(found.classifier(test[0]).detach().mean()) < 120


def test_several_classes_at_once_are_learned(method, batches):
    def several(label):
        return torch.stack([label >= 1, label >= 2], dim=1).long()

    train, test = relabelled(batches(96), several), relabelled(batches(48, seed=2), several)
    found = finetune(method, train, test=test, steps=40, lr=1e-1, task="multilabel")
    assert found.metric == "mean average precision"
    assert found.test > 0.9


def test_the_method_that_was_given_stays_as_it_was(method, batches):
    before = {name: value.clone() for name, value in method.state_dict().items()}
    found = finetune(method, batches(32), steps=3, lr=1e-1)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert all(parameter.requires_grad for name, parameter in method.named_parameters() if "table" not in name)
    assert all(isinstance(block.drop, nn.Identity) for block in method.encoder.trunk.blocks)
    assert not torch.equal(found.classifier.method.encoder.embed.weight, method.encoder.embed.weight)


def test_the_decoder_is_not_trained(method, batches):
    found = finetune(method, batches(32), steps=3, lr=1e-1)
    for trained, given in zip(found.classifier.method.decoder.parameters(), method.decoder.parameters(), strict=True):
        assert torch.equal(trained, given)


def test_lower_layers_move_less(method, batches):
    """With AdamW a first step has the size of its rate whatever the gradient: 0.1 a layer apart."""
    found = finetune(method, batches(16), steps=2, lr=1e-2, warmup=0.5, layer_decay=0.1, weight_decay=0.0, **PLAIN)

    def moved(name):
        pair = (
            network.get_submodule(name).weight.detach() for network in (found.classifier.method.encoder, method.encoder)
        )
        return float((next(pair) - next(pair)).abs().max())

    sizes = [moved(name) for name in ("embed", "trunk.blocks.0.mlp.0", "trunk.blocks.1.mlp.0", "trunk.norm")]
    for lower, higher in pairwise(sizes):
        assert lower == pytest.approx(higher / 10, rel=0.05)  # epsilon of AdamW against small gradients


def test_accumulated_batches_are_one_large_batch(method, batches):
    def weight(size, accumulation):
        found = finetune(
            method, batches(32, size), steps=3, lr=1e-3, accumulation=accumulation, labels=torch.arange(3), **PLAIN
        )
        return found.classifier.head.weight

    assert torch.allclose(weight(32, 1), weight(16, 2), atol=1e-6)  # float32 sums


def test_the_same_seed_gives_the_same_weights(method, batches):
    first, again, other = (finetune(method, batches(32), steps=3, lr=1e-2, seed=s).losses for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_randomness_outside_is_left_alone(method, batches):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    finetune(method, batches(32), steps=2)
    assert torch.equal(torch.rand(3), expected)


def test_drop_path_grows_with_depth(method):
    set_drop_path(method.encoder, 0.2)
    first, second = (block.drop for block in method.encoder.trunk.blocks)
    assert isinstance(first, nn.Identity)
    assert isinstance(second, StochasticDepth)
    assert second.p == pytest.approx(0.2)
    set_drop_path(method.encoder, 0.0)
    assert isinstance(method.encoder.trunk.blocks[1].drop, nn.Identity)


def test_the_test_part_is_read_once_at_the_end(method, batches):
    order = []

    class Watched(list):
        def __init__(self, name, content):
            super().__init__(content)
            self.name = name

        def __iter__(self):
            order.append(self.name)
            return super().__iter__()

    parts = [Watched(name, batches(32)) for name in ("train", "validation", "test")]
    finetune(method, *parts, steps=8, checks=4)
    assert order.count("test") == 1
    assert order.count("validation") == 4
    assert order[-1] == "test"


def test_answers_are_probabilities_in_evaluation_and_scores_in_training(method, batches):
    classifier = finetune(method, batches(32), steps=2).classifier
    batch = batches(8)[0]
    assert torch.allclose(classifier(batch).sum(-1), torch.ones(8), atol=1e-5)
    answers = classifier(batch)
    assert torch.allclose(classifier.train()(batch).softmax(-1), answers, atol=1e-2)  # drop path is still in


def test_the_score_does_not_depend_on_the_batch(method, batches):
    classifier = finetune(method, batches(96), steps=20, lr=1e-2).classifier
    assert score(classifier, batches(48, 1)) == score(classifier, batches(48, 48))


def test_data_are_made_in_full_precision_also_where_the_network_computes_in_half(method, batches):
    classifier = finetune(method, batches(16), steps=1).classifier
    kinds = []

    def made():
        for batch in batches(16):
            kinds.append((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
            yield batch

    score(classifier, made(), precision="bf16")
    assert set(kinds) == {torch.float32}


def test_unlabelled_samples_are_left_out(method, batches):
    train = relabelled(batches(32), lambda label: label.where(torch.arange(len(label)) < 8, -1))
    assert len(finetune(method, train, steps=3).losses) == 3


def test_batches_sorted_by_class_are_refused(method, batches):
    train = [{**batch, "label": torch.full_like(batch["label"], i // 20)} for i, batch in enumerate(batches(640))]
    with pytest.raises(ValueError, match="random order"):
        finetune(method, train, steps=30)


def test_a_stream_that_ends_is_refused(method, batches):
    with pytest.raises(ValueError, match="only once"):
        finetune(method, iter(batches(32)), steps=30, labels=torch.arange(3))


def test_data_without_labels_are_refused(method, batches):
    with pytest.raises(ValueError, match="the data has no labels"):
        finetune(method, [{"image": batch["image"]} for batch in batches(16)], steps=1)


def test_an_unknown_task_is_refused(method, batches):
    with pytest.raises(ValueError, match="multilabel"):
        finetune(method, batches(16), steps=1, task="detection")


def test_as_a_probe_it_reports_the_last_block(method, batches):
    parts = {"train": batches(48), "validation": batches(16, seed=1), "test": batches(16, seed=2)}
    outcome = FineTune(epochs=2, batch=16).run(method, parts)
    assert list(outcome.validation) == [outcome.best] == [2]
    assert F.one_hot(parts["test"][0]["label"]).shape[1] == 3
