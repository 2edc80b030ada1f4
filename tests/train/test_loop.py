"""The loop: phases, accumulation, resuming, and what happens when numbers break."""

import json

import pytest
import torch

from unmask.core import Method, Phase, Recipe
from unmask.methods.mae import tiny
from unmask.train.checkpoint import newest, state_hash
from unmask.train.engine import Engine, choose_device, choose_precision, native_half
from unmask.train.loop import Diverged, Run, snapshot_steps, train
from unmask.train.plan import make_plan
from unmask.train.trackers import Logs

CPU = torch.device("cpu")
IMAGES = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def stream(batch: int, accumulation: int = 1, images: torch.Tensor = IMAGES):
    """The k-th micro-batch holds the next images in order, over and over."""

    def start(step: int):
        size = batch // accumulation
        k = step * accumulation
        while True:
            index = torch.arange(k * size, (k + 1) * size) % len(images)
            yield {"image": images[index], "index": index}
            k += 1

    return start


def run(folder, *, steps=6, batch=8, accumulation=1, resumed=None, method=None, images=IMAGES, **options):
    torch.manual_seed(0)
    recipe = Recipe(lr=1e-2, batch=batch, epochs=1, warmup=0.1)
    plan = make_plan(
        recipe, 64, steps=steps, batch=batch, accumulation=accumulation, save_every=2, log_every=1, **options
    )
    engine = Engine(method or tiny()[0], plan, CPU)
    with Logs(folder, trackers=()) as logs:
        train(engine, plan, Run(folder, stream(batch, accumulation, images), logs, progress=False), resumed)
    return engine


def losses(folder) -> list[float]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["kind"] == "train"]


def test_training_lowers_the_loss(tmp_path):
    run(tmp_path, steps=30)
    found = losses(tmp_path)
    assert sum(found[-5:]) < sum(found[:5])


def test_accumulation_gives_the_loss_and_weights_of_the_whole_batch(tmp_path):
    whole, parts = run(tmp_path / "a"), run(tmp_path / "b", accumulation=4)
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "b"), abs=1e-5)
    for a, b in zip(whole.method.parameters(), parts.method.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)  # Adam magnifies differences in summation order


def test_resuming_gives_the_bits_of_an_uninterrupted_run(tmp_path):
    whole = run(tmp_path / "a", ema=0.9)

    def break_off(step):
        for k, batch in enumerate(stream(8)(step)):
            if k == 5:
                raise KeyboardInterrupt
            yield batch

    recipe = Recipe(lr=1e-2, batch=8, epochs=1, warmup=0.1)
    torch.manual_seed(0)
    plan = make_plan(recipe, 64, steps=6, batch=8, save_every=2, log_every=1, ema=0.9)
    with Logs(tmp_path / "b", trackers=()) as logs, pytest.raises(KeyboardInterrupt):
        train(Engine(tiny()[0], plan, CPU), plan, Run(tmp_path / "b", break_off, logs, progress=False))
    checkpoint = newest(tmp_path / "b")
    assert checkpoint.step == 4
    torch.manual_seed(99)
    with Logs(tmp_path / "b", trackers=()) as logs:
        logs.rewind(checkpoint.step)
        other = Engine(tiny()[0], plan, CPU)
        train(other, plan, Run(tmp_path / "b", stream(8), logs, progress=False), checkpoint)
    for name, tensors in whole.tensors().items():
        assert state_hash(tensors) == state_hash(other.tensors()[name]), name
    assert losses(tmp_path / "a") == losses(tmp_path / "b")


def test_a_step_that_is_not_finite_changes_nothing_and_is_noted(tmp_path):
    images = IMAGES.clone()
    images[8:16] = torch.nan  # the second step of two
    engine = run(tmp_path, steps=2, images=images)
    checkpoint = newest(tmp_path)
    assert all(torch.isfinite(p).all() for p in engine.method.parameters())
    assert checkpoint.step == 2
    row = json.loads((tmp_path / "bad_steps.jsonl").read_text())
    assert row["index"] == list(range(8, 16))


def test_three_such_steps_in_a_row_stop_the_run_with_the_checkpoints_intact(tmp_path):
    with pytest.raises(Diverged, match="3 steps in a row"):
        run(tmp_path, steps=8, images=torch.full_like(IMAGES, torch.nan))
    assert newest(tmp_path).step == 2


def test_moving_average_follows_the_weights(tmp_path):
    engine = run(tmp_path, steps=3, ema=0.5)
    average = newest(tmp_path).tensors("ema")
    weights = dict(engine.method.named_parameters())
    assert average.keys() == weights.keys()
    assert any(not torch.equal(average[name], weights[name]) for name in average)


class Adversaries(Method):
    """Two phases: `a` follows the batch, `b` follows `a`."""

    def __init__(self):
        super().__init__()
        self.a, self.b = (torch.nn.Parameter(torch.zeros(3)) for _ in range(2))

    def phases(self):
        return [Phase("first", (self.a,)), Phase("second", (self.b,))]

    def losses(self, batch, context, mask=None):
        mean = batch["image"].mean((0, 2, 3))
        if context.phase == "first":
            return {"follow": (self.a - mean).square().sum() + 0 * self.b.sum()}
        return {"follow": (self.b - self.a - 1).square().sum()}


def test_each_phase_updates_its_own_parameters_only(tmp_path):
    recipe = Recipe(lr=3.2, batch=8, epochs=1, warmup=0.1)  # 0.1 a step at a batch of 8
    plan = make_plan(recipe, 64, steps=200, batch=8, save_every=200)
    engine = Engine(Adversaries(), plan, CPU)
    train(engine, plan, Run(tmp_path, stream(8, images=torch.ones_like(IMAGES)), progress=False))
    torch.testing.assert_close(engine.method.a.data, torch.ones(3), atol=0.1, rtol=0)  # the rate has decayed to 0
    torch.testing.assert_close(engine.method.b.data, torch.full((3,), 2.0), atol=0.2, rtol=0)
    assert set(newest(tmp_path).sections) == {"method", "optimizer-first", "optimizer-second"}


def test_snapshots_are_spaced_logarithmically_and_hold_both_ends():
    steps = snapshot_steps(1000)
    assert {0, 1000} <= steps
    assert len(steps) <= 10
    assert snapshot_steps(0) == {0}


def test_a_device_that_is_not_there_is_named():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match="device 'cuda' is not there"):
        choose_device("cuda")


def test_precision_is_one_of_three_words():
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("auto", CPU) == (native_half(CPU) or "fp32")
    assert native_half(CPU) in ("bf16", None)
    with pytest.raises(ValueError, match="precision 'fp8'"):
        choose_precision("fp8", CPU)


def test_trainings_of_either_precision_may_follow_each_other_in_one_process(tmp_path):
    for number, precision in enumerate(("bf16", "fp32", "bf16")):
        engine = run(tmp_path / str(number), precision=precision)
        assert {p.dtype for p in engine.method.parameters()} == {torch.float32}
    half, full, again = (losses(tmp_path / str(number)) for number in range(3))
    assert half == again != full
    assert half == pytest.approx(full, rel=0.02)  # bf16 keeps 8 bits
