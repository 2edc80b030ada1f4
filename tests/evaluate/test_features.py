import pytest
import torch

from unmask.core import Features, Method
from unmask.evaluate.features import embed, extract, frozen
from unmask.evaluate.linear import Ridge
from unmask.evaluate.report import evaluate


def test_a_table_has_one_row_per_sample_and_one_block_per_block(method, batches):
    table = extract(method, batches(40))
    assert [tuple(block.shape) for block in table.blocks] == [(40, 16), (40, 16)]
    assert torch.equal(table.index, torch.arange(40))
    assert torch.equal(table.labels, torch.cat([batch["label"] for batch in batches(40)]))


def test_features_do_not_depend_on_the_batch(method, batches):
    one, many = extract(method, batches(64, batch=1)), extract(method, batches(64, batch=64))
    for single, together in zip(one.blocks, many.blocks, strict=True):
        assert torch.allclose(single, together, atol=1e-5)  # float32: sums in another order


def test_probes_do_not_depend_on_the_batch(method, batches):
    def report(batch):
        parts = (batches(count, batch, seed=seed) for seed, count in enumerate((64, 32, 32)))
        return evaluate(method, *parts, probes=("knn", "linear", Ridge()), pixels=False)

    for one, many in zip(report(1).outcomes, report(64).outcomes, strict=True):
        assert one == many


def test_embedding_twice_gives_the_same_bits(method, batches):
    first, second = (torch.cat([vector for _, vector in embed(method, batches(20))]) for _ in range(2))
    assert torch.equal(first, second)


def test_embedding_gives_the_chosen_block(method, batches):
    table = extract(method, batches(20))
    for block in (1, 2):
        vectors = torch.cat([vector for _, vector in embed(method, batches(20), block)])
        assert torch.equal(vectors, table.blocks[block - 1])
    assert torch.equal(torch.cat([vector for _, vector in embed(method, batches(20))]), table.blocks[1])


def test_embedding_reads_no_further_than_asked(method, batches):
    def stream():
        yield batches(16)[0]
        raise AssertionError("read ahead")

    index, _ = next(embed(method, stream()))
    assert torch.equal(index, torch.arange(16))


def test_samples_are_counted_where_there_is_no_index(method, batches):
    plain = [{"image": batch["image"]} for batch in batches(40)]
    table = extract(method, plain)
    assert torch.equal(table.index, torch.arange(40))
    assert table.labels is None


def test_a_block_that_does_not_exist_is_refused(method, batches):
    for block in (0, 3):
        with pytest.raises(ValueError, match="blocks 1 to 2"):
            next(embed(method, batches(16), block))


def test_every_module_keeps_its_mode(method):
    method.train()
    method.decoder.eval()
    with frozen(method):
        assert not any(module.training for module in method.modules())
    assert method.encoder.training
    assert not method.decoder.training


def test_no_gradient_is_recorded(method, batches):
    assert not any(block.requires_grad for block in extract(method, batches(16)).blocks)
    assert torch.is_grad_enabled()


def test_a_table_beyond_the_memory_bound_is_the_same(method, batches):
    plain, mapped = extract(method, batches(40)), extract(method, batches(40), memory=1000)
    for table, file in zip(plain.blocks, mapped.blocks, strict=True):
        assert torch.equal(table, file)
    rows = torch.arange(39, -1, -3)
    assert torch.equal(mapped.take(rows).blocks[0], plain.blocks[0][rows])


def test_features_that_are_not_finite_are_refused(batches):
    class Broken(Method):
        def features(self, batch):
            return Features(batch["image"].flatten(1).log())

    with pytest.raises(ValueError, match="not finite"):
        extract(Broken(), batches(16))


def test_empty_batches_are_refused(method):
    with pytest.raises(ValueError, match="empty"):
        extract(method, [])


def test_an_unknown_precision_is_refused(method, batches):
    with pytest.raises(ValueError, match="bf16"):
        extract(method, batches(16), precision="fp8")


def test_half_precision_stays_close(method, batches):
    exact, half = extract(method, batches(16)), extract(method, batches(16), precision="bf16")
    assert torch.allclose(exact.blocks[-1], half.blocks[-1], atol=0.05)  # bfloat16 keeps 8 bits
    assert half.blocks[-1].dtype == torch.float32
