"""Coloured noise: masks whose holes are large, small or of one size, without looking at the picture."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask, check_choice, keep_count
from unmask.parts.masks.random import seen_counts

COLOURS = ("red", "green", "blue", "purple", "white")
SEED = 0  # of the white noise that the patterns are filtered from


def gaussian_response(side: int, deviation: float) -> Float[Tensor, "h w"]:
    """By how much a Gaussian blur with that standard deviation in pixels passes every frequency of torch.fft.rfft2."""
    squares = torch.fft.fftfreq(side).square()[:, None] + torch.fft.rfftfreq(side).square()[None, :]
    return (-2 * torch.pi**2 * deviation**2 * squares).exp()


def coloured_noise(
    white: Float[Tensor, "k side side"], colour: str, fine: float = 0.75, coarse: float = 2.0
) -> Float[Tensor, "k side side"]:
    """White noise, filtered: "red" keeps low frequencies, "green" those between, "blue" high ones.

    fine, coarse: standard deviations of the two blurs. Red, green and blue add up to the white noise; "purple" is red
    and blue together. The patterns continue at the opposite border.
    Source: Hinojosa et al. 2024 (ColorMAE), section 3.
    """
    check_choice("colour", colour, COLOURS)
    low, middle = (gaussian_response(white.shape[-1], deviation).to(white.device) for deviation in (coarse, fine))
    passed = {"red": low, "green": middle - low, "blue": 1 - middle, "purple": 1 - middle + low, "white": 1.0}[colour]
    return torch.fft.irfft2(torch.fft.rfft2(white) * passed, s=white.shape[-2:])


def cut_windows(
    patterns: Float[Tensor, "k side side"],
    chosen: Int64[Tensor, "b"],
    corners: Int64[Tensor, "b 2"],
    flips: Bool[Tensor, "b 2"],
    grid: tuple[int, int],
) -> Float[Tensor, "b n"]:
    """The window of size `grid` at `corners` (top, left) of the chosen pattern, its rows and columns in reverse order
    where `flips` says so."""
    ranges = [torch.arange(n, device=corners.device) for n in grid]
    rows, columns = (
        corners[:, i, None] + torch.where(flips[:, i, None], places.flip(0), places) for i, places in enumerate(ranges)
    )
    return patterns[chosen[:, None, None], rows[:, :, None], columns[:, None, :]].flatten(1)


def strongest_seen(windows: Float[Tensor, "b n"], ratio: float, places: Bool[Tensor, "b n"] | None = None) -> Mask:
    """The strongest noise stays visible. Source: masking_generator.py of ColorMAE's released code."""
    return Mask.from_scores(-windows, seen_counts(windows.shape[-1], ratio, "floor_kept", places), places)


class ColourMask(nn.Module):
    """Hides the weakest places of a random window of coloured noise.

    colour: one of red, green, blue, purple and white, or several with commas between, each from its share of the
        training in `starts` on.
    fine, coarse: blurs that part high, middle and low frequencies, in places.
    patterns, side: how many patterns are made, once, and how large; windows are cut from them and flipped.
    """

    bank: Tensor

    def __init__(
        self,
        ratio: float = 0.75,
        colour: str = "green",
        starts: tuple[float, ...] = (0.0,),
        fine: float = 0.75,
        coarse: float = 2.0,
        patterns: int = 1024,
        side: int = 64,
    ):
        super().__init__()
        keep_count(1000, ratio)
        self.colours = [name.strip() for name in colour.split(",")]
        for name in self.colours:
            check_choice("colour", name, COLOURS)
        if len(starts) != len(self.colours) or starts[0] != 0 or list(starts) != sorted(starts):
            raise ValueError(f"starts {starts} must be one share per colour of {colour!r}, from 0 upwards")
        if not 0 < fine < coarse:
            raise ValueError(f"blurs fine={fine} and coarse={coarse} leave no band; choose 0 < fine < coarse")
        if patterns < 1:
            raise ValueError(f"{patterns} patterns cannot be cut into masks; choose at least 1")
        self.ratio = ratio
        self.starts = starts
        self.fine = fine
        self.coarse = coarse
        self.patterns = patterns
        self.side = side
        self.made = ""  # the colour of the bank
        self.register_buffer("bank", torch.empty(0, side, side), persistent=False)

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        image = batch["image"]
        grid = model.encoder.grid_of(image)
        if max(grid) > self.side:
            raise ValueError(
                f"noise patterns of {self.side}x{self.side} are too small for {grid[0]}x{grid[1]} patches;"
                f" set side={max(grid)} or more"
            )
        self._make(self.colour(context.progress), image.device)
        draw = context.uniform(image.shape[0], 5, device=image.device)
        room = torch.tensor([self.side - n + 1 for n in grid], device=image.device)
        chosen, corners = (draw[:, 0] * self.patterns).long(), (draw[:, 1:3] * room).long()
        windows = cut_windows(self.bank, chosen, corners, draw[:, 3:] < 0.5, grid)
        return strongest_seen(windows, self.ratio, model.places(batch))

    def colour(self, progress: float) -> str:
        """The colour in use when that share of the training is done."""
        return self.colours[sum(start <= progress for start in self.starts) - 1]

    def _make(self, colour: str, device: torch.device) -> None:
        """Fills the bank with patterns of that colour, the same on every machine and in every process."""
        if self.made != colour:
            white = torch.randn(self.patterns, self.side, self.side, generator=torch.Generator().manual_seed(SEED))
            self.bank = coloured_noise(white, colour, self.fine, self.coarse)
            self.made = colour
        self.bank = self.bank.to(device)
