"""What an arm's encoder is worth when few pictures have labels: fine-tuned as a whole on a thousand of them."""

from collections.abc import Collection, Iterable, Sequence
from functools import partial

from unmask.app.looking import batches_of, pictures_of
from unmask.app.measuring import labelled
from unmask.app.runs import Loaded, load
from unmask.app.watching import spread
from unmask.core import Batch
from unmask.evaluate.finetune import FineTune, finetune
from unmask.evaluate.mixing import Mixing
from unmask.proofs.experiment import Arm, Claim, Laboratory, comparisons
from unmask.train.engine import choose_device, native_half

NAME = "few labels"
LABELS = 1000  # training pictures that are fine-tuned on
EPOCHS, BATCH = 40, 64


def add_few_labels(
    laboratory: Laboratory,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    numbers: dict[str, list[dict[str, float]]],
    epochs: int | None = None,
) -> None:
    """Adds the accuracy to the row of every arm and seed, measured once. epochs: on the labels; EPOCHS if not said."""
    what = NAME if epochs is None else f"{NAME}, {epochs} epochs"
    laboratory.add(numbers, arms, seeds, what, partial(few_labels, most_epochs=epochs), NAME)


def compared_with_few_labels(
    laboratory: Laboratory,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    numbers: dict[str, list[dict[str, float]]],
    probes: Sequence[str],
    pairs: Sequence[tuple[str, str, str]],
    left_out: Collection[str] = (),
) -> list[Claim]:
    """`comparisons` by few labels and by the probes. left_out: names of arms that are not fine-tuned."""
    add_few_labels(laboratory, [arm for arm in arms if arm.name not in left_out], seeds, numbers)
    tuned_pairs = [pair for pair in pairs if not set(pair) & set(left_out)]
    return comparisons(numbers, (NAME,), tuned_pairs) + comparisons(numbers, probes, pairs)


def few_labels(laboratory: Laboratory, arm: Arm, seed: int, most_epochs: int | None = None) -> float:
    """Test accuracy of the arm's encoder, fine-tuned on a few labelled pictures of every class."""
    loaded = load(laboratory.trained(arm, seed))
    batches, epochs = few_batches(laboratory, loaded, seed, most_epochs=most_epochs)
    tune = partial(finetune, layer_decay=1.0, drop_path=0.0, mixing=Mixing(0, 0, seed=seed))
    return tuned(laboratory, loaded, batches, FineTune(epochs, BATCH, tune, seed=seed))


def tuned_on_few(laboratory: Laboratory, arm: Arm, seed: int, labelled_samples: int, most_epochs: int) -> float:
    """Test accuracy of the arm's encoder, fine-tuned on so many labels of any kind of data, unmixed."""
    loaded = load(laboratory.trained(arm, seed))
    batches, epochs = few_batches(laboratory, loaded, seed, labelled_samples, most_epochs)
    tune = partial(finetune, layer_decay=1.0, drop_path=0.0, mixing=Mixing(0, 0, 0, seed=seed))
    return tuned(laboratory, loaded, batches, FineTune(epochs, BATCH, tune, seed=seed))


def tuned(laboratory: Laboratory, loaded: Loaded, batches: dict[str, Iterable[Batch]], probe: FineTune) -> float:
    """What the probe scores on the test part, in bf16 where the device computes it natively, as `unmask finetune`."""
    device = choose_device(laboratory.device)
    return probe.run(loaded.method, batches, device, native_half(device)).test


def few_batches(
    laboratory: Laboratory,
    loaded: Loaded,
    seed: int,
    labelled_samples: int | None = None,
    most_epochs: int | None = None,
) -> tuple[dict[str, Iterable[Batch]], int]:
    """The few labelled samples, LABELS if not said, all of the test part, and how many epochs to fine-tune on them."""
    labelled_samples, most_epochs = labelled_samples or LABELS, most_epochs or EPOCHS
    parts = labelled(pictures_of(loaded, laboratory.data), loaded.config.data["split"], seed)
    counts = {"train": labelled_samples, "validation": labelled_samples, "test": laboratory.test}
    batches: dict[str, Iterable[Batch]] = {
        name: batches_of(loaded, spread(part, min(counts[name], len(part)))) for name, part in parts.items()
    }
    share = len(parts["train"]) / labelled_samples
    return batches, min(most_epochs, max(1, round(most_epochs * share)))
