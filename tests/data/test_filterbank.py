"""Log mel energies: Kaldi's numbers, what a band says of a tone, and sounds at another rate."""

import pytest
import torch

from formulas import recorded, wave
from unmask.data.filterbank import filterbank, mel_bands, resampled, silent_bands
from unmask.data.picture import Unreadable

REFERENCE = recorded(__file__, "filterbank_reference.json")


def sweep(rate: int) -> torch.Tensor:
    """A rising tone with noise, without its mean."""
    t = torch.arange(rate // 5, dtype=torch.float64) / rate
    found = (0.3 * torch.sin(2 * torch.pi * (200 + 2000 * t) * t) + 0.05 * wave(len(t), 0.5)).float()
    return found - found.mean()


@pytest.mark.faithful("audio_mae")
@pytest.mark.parametrize("case", list(REFERENCE["cases"]))
def test_energies_are_those_of_kaldi(case):
    rate, bands = map(int, case.split())
    expected, found = REFERENCE["cases"][case], filterbank(sweep(rate), rate, bands)
    assert list(found.shape) == expected["shape"]
    torch.testing.assert_close(found[0], torch.tensor(expected["first"]), atol=1e-4, rtol=0)
    torch.testing.assert_close(found[-1, ::4], torch.tensor(expected["last"]), atol=1e-4, rtol=0)
    assert found.double().mean().item() == pytest.approx(expected["mean"], abs=1e-5)


def test_a_tone_is_loudest_in_the_band_that_holds_it():
    rate, bands, pitch = 16000, 40, 1000.0
    loudest = filterbank(torch.sin(2 * torch.pi * pitch * torch.arange(8000) / rate), rate, bands).mean(0).argmax()
    weights = mel_bands(rate, 512, bands)[loudest]
    assert weights[round(pitch / (rate / 512))] == mel_bands(rate, 512, bands)[:, 32].max() > 0


def test_narrow_bands_are_counted():
    assert silent_bands(16000, 40) == 0
    assert silent_bands(8000, 128) == int((mel_bands(8000, 256, 128).sum(1) == 0).sum()) > 0


def test_silence_is_at_the_floor_and_a_click_is_too_short():
    assert torch.allclose(filterbank(torch.zeros(400), 8000, 20), torch.tensor(-15.9424), atol=1e-4)
    with pytest.raises(Unreadable, match=r"has 199 samples, fewer than the 200 of a frame of 25 ms at 8000 Hz"):
        filterbank(torch.zeros(199), 8000)


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16000), (16000, 8000), (44100, 16000), (8000, 11025)])
def test_a_tone_stays_the_same_tone_at_another_rate(rate, wanted):
    pitch, seconds = 440.0, 0.25
    found = resampled(torch.sin(2 * torch.pi * pitch * torch.arange(int(rate * seconds)) / rate), rate, wanted)
    expected = torch.sin(2 * torch.pi * pitch * torch.arange(len(found)) / wanted)
    assert abs(len(found) - wanted * seconds) <= 1
    inner = slice(wanted // 50, -wanted // 50)
    torch.testing.assert_close(found[inner], expected[inner], atol=5e-3, rtol=0)


def test_what_a_lower_rate_cannot_hold_is_gone():
    tone = torch.sin(2 * torch.pi * 6000 * torch.arange(4000) / 16000)
    assert resampled(tone, 16000, 8000)[200:-200].abs().max() < 0.01
    assert torch.equal(resampled(tone, 16000, 16000), tone)
