"""Sounds as samples: files, classes by name, parts, padding, other rates, the card, and what is refused."""

import json

import numpy as np
import pytest
import torch

from small_sound import RATE, make_sounds, tone, write_sound
from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.loading import TooManyUnreadable
from unmask.data.picture import Unreadable
from unmask.data.sound import Sound, SoundSource, open_sounds
from unmask.data.sound_card import SoundCard, inspect_sounds
from unmask.data.sound_views import SoundView
from unmask.data.source import Source
from unmask.data.stream import TrainingStream
from unmask.data.values import whole_of

BANDS = 16


@pytest.fixture
def folder(tmp_path):
    return make_sounds(tmp_path / "sounds", count=12)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_files_of_several_kinds_are_read(tmp_path, suffix):
    wave = tone(0.3)
    sound = Sound(write_sound(tmp_path / f"a{suffix}", wave))
    assert (sound.count, sound.rate, sound.channels) == (len(wave), RATE, 1)
    tolerance = 0.1 if suffix == ".ogg" else 1e-4  # lossy; 16 bits
    np.testing.assert_allclose(sound.part().numpy(), wave, atol=tolerance)
    np.testing.assert_allclose(sound.part(100, 50).numpy(), sound.part().numpy()[100:150], atol=tolerance)


def test_channels_are_mixed_to_their_mean(tmp_path):
    wave = np.stack([tone(), np.zeros(len(tone()))], 1)
    sound = Sound(write_sound(tmp_path / "a.wav", wave))
    assert sound.channels == 2
    np.testing.assert_allclose(sound.part().numpy(), wave.mean(1), atol=1e-4)


def test_names_tell_classes_where_folders_do_not(folder, tmp_path):
    source = open_sounds(folder, BANDS)
    assert source.classes == ("0", "1")
    assert [source.label(i) for i in range(4)] == [0, 0, 0, 0]
    write_sound(folder / "other.wav", tone())
    assert open_sounds(folder, BANDS).classes == ()
    for name in ("x/1_ann_0", "y/2_ann_0"):
        write_sound(tmp_path / "folders" / f"{name}.wav", tone())
    assert open_sounds(tmp_path / "folders", BANDS).classes == ("x", "y")


def test_a_spectrogram_is_cut_or_filled_up_and_the_filling_is_marked_where_asked(folder):
    source = open_sounds(folder, BANDS)
    card = inspect_sounds(source)
    short, long = source.read(0), Sound(write_sound(folder / "long.wav", tone(2.0)))
    plain = SoundView(32)(short, card)["spectrogram"]
    assert plain.shape == (1, 32, BANDS)
    assert torch.allclose(card.restore(plain[0, -1:]), torch.zeros(1, BANDS), atol=1e-5)
    padded = SoundView(32, pad=True)(short, card)
    rows = int(padded["spectrogram_valid"].any(-1).sum())
    assert rows == 1 + (short.count - 100) // 40
    assert torch.equal(padded["spectrogram"][:, :rows], plain[:, :rows])
    assert (padded["spectrogram"][:, rows:] == 0).all()
    check_batch({key: value[None] for key, value in padded.items()})
    assert SoundView(32, pad=True)(long, card)["spectrogram_valid"].all()
    first, second = (
        SoundView(32).draw(long, card, torch.Generator().manual_seed(seed))["spectrogram"] for seed in (0, 1)
    )
    assert not torch.equal(first, second)


def test_standardised_energies_have_half_a_deviation(folder):
    source = open_sounds(folder, BANDS)
    card = inspect_sounds(source, None)
    rows = torch.cat([SoundView(60, pad=True)(source.read(i), card)["spectrogram"] for i in range(12)])
    valid = torch.cat([SoundView(60, pad=True)(source.read(i), card)["spectrogram_valid"][None] for i in range(12)])
    assert rows[valid].mean().abs() < 1e-4
    assert rows[valid].std() == pytest.approx(0.5, abs=1e-3)


def test_a_sound_of_another_rate_is_resampled_and_counted(folder):
    write_sound(folder / "1_ann_90.wav", tone(0.4, 800, rate=8000), 8000)
    source = open_sounds(folder, BANDS)
    card = inspect_sounds(source, None)
    assert card.rate == RATE
    assert card.rates == {"4000": 12, "8000": 1}
    assert card.changed == {"resampled": "1 of 13 sounds, to 4,000 Hz"}
    place = [item.name for item in source.items].index("1_ann_90.wav")
    other = Sound(write_sound(folder.parent / "same.wav", tone(0.4, 800)))
    one, two = (SoundView(32)(sound, card)["spectrogram"] for sound in (source.read(place), other))
    assert (one - two).abs()[0, 2:-2, 6:].mean() < 0.15  # the noise is another
    text = card.to_text(SoundView(32))
    for words in ("13 (", "2: 0, 1", "12 x 4,000 Hz, 1 x 8,000 Hz", "1 of 13 sounds, to 4,000 Hz", "16 mel bands"):
        assert words in text


def test_the_card_comes_back_from_json(folder):
    card = inspect_sounds(open_sounds(folder, BANDS))
    assert SoundCard.from_json(card.to_json()) == card
    with pytest.raises(ValueError, match="unknown entry 'age'"):
        SoundCard.from_json({**json.loads(card.to_json()), "age": 3})
    assert inspect_sounds(open_sounds(folder, BANDS).subset([1, 2])).count == 2
    with pytest.raises(TypeError, match="not sounds"):
        whole_of(Source("somewhere", []), SoundSource)


@pytest.mark.parametrize(
    ("wave", "words"),
    [
        (np.zeros(0), "holds no sound: it has 0 samples"),
        (np.full(1000, 0.25), r"never changes: every sample is 0\.25"),
        (np.zeros(50) + np.arange(50) / 100, "has 50 samples, fewer than the 100 of a frame"),
    ],
)
def test_sounds_that_are_none_are_refused_and_named(folder, wave, words):
    write_sound(folder / "0_ann_99.wav", wave)
    source = open_sounds(folder, BANDS)
    card = inspect_sounds(source, None)
    assert list(card.unreadable) == ["0_ann_99.wav"]
    stream = TrainingStream(source, card, SoundView(16), seed=0, batch=13, steps=2, budget=1.0)
    assert [len(batch["spectrogram"]) for batch in stream] == [13, 13]
    assert list(stream.faults) == ["0_ann_99.wav"]
    with pytest.raises(Unreadable, match=words):
        SoundView(16)(source.read([item.name for item in source.items].index("0_ann_99.wav")), card)
    with pytest.raises(TooManyUnreadable, match="1 of 13 sounds cannot be used"):
        list(evaluation_batches(source, card, SoundView(16)))


def test_files_that_are_damaged_are_refused(tmp_path):
    import soundfile

    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(Unreadable, match="cannot be decoded"):
        Sound(tmp_path / "text.wav")
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan, 0.3] * 100), RATE, subtype="FLOAT")
    with pytest.raises(Unreadable, match=r"100 value\(s\) that are not a number"):
        Sound(tmp_path / "nan.wav").part()
    with pytest.raises(ValueError, match=r"none of 2 sounds of .* can be used"):
        inspect_sounds(open_sounds(tmp_path, BANDS))


def test_a_header_that_promises_more_than_there_is_is_read_as_far_as_it_goes(tmp_path):
    data = write_sound(tmp_path / "a.wav", tone(0.5)).read_bytes()
    (tmp_path / "a.wav").write_bytes(data[: len(data) // 2])
    sound = Sound(tmp_path / "a.wav")
    assert 0 < len(sound.part()) <= sound.count < 2000
