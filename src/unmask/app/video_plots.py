"""What a method sees and predicts of clips, frame by frame."""

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.app.pictures import BLANK, panel
from unmask.core import Batch, Context
from unmask.data.video_card import VideoCard
from unmask.evaluate.features import frozen
from unmask.evaluate.trivial import nearest_seen, seen_places
from unmask.parts.ops.cubes import cubify, uncubify
from unmask.parts.targets.cubes import cube_statistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 8  # frames of a clip, at equal distances
CLIPS = 4
NORMALISED = (
    "what is predicted with the true mean and std of each cube, which leaks brightness, and with those of the nearest"
    " visible cube, which leaks nothing"
)


def video_panel(method: Any, batch: Batch, card: VideoCard, context: Context) -> "Figure":
    """A few rows per clip, one column per frame: the clip, what is seen of it, and what is predicted of the rest."""
    batch = {key: value[:CLIPS] for key, value in batch.items()}
    video = batch["video"].float()
    encoder, places = method.encoder, torch.linspace(0, video.shape[2] - 1, SHOWN).round().long().unique()
    with torch.no_grad(), frozen(method):
        mask = method.sampler(method, batch, context)
        prediction = method.predict(batch, mask).float()
    grid, seen, cubes = encoder.grid_of(video), seen_places(mask), cubify(video, encoder.cube)

    def drawn(values: Float[Tensor, "b n k"]) -> Float[Tensor, "b c t h w"]:
        return (card.restore(uncubify(values, grid, encoder.cube).cpu()) / 255).clamp(0, 1)

    statistics = cube_statistics(cubes, video.shape[1])
    nearest = nearest_seen(seen, grid).unsqueeze(-1).expand_as(cubes)
    guessed = tuple(of.gather(1, nearest) for of in statistics)
    clips = [drawn(cubes), _without(drawn(cubes), seen, grid, encoder.cube)]
    for of in (statistics, guessed) if method.target.normalise else (statistics,):
        clips.append(_without(drawn(method.target.pixels(prediction, *of)), mask.hidden, grid, encoder.cube))
    words = NORMALISED if method.target.normalise else "what is predicted"
    rows = torch.stack(clips, 1).flatten(0, 1)
    columns = {f"frame {int(place) + 1}": rows[:, :, int(place)] for place in places}
    share = 100 * float(mask.hidden.float().mean())
    return panel(
        columns, f"{share:.0f} % of the cubes hidden; {len(clips)} rows a clip: the clip, what is seen of it, {words}"
    )


def _without(video: Float[Tensor, "b c t h w"], kept, grid, cube) -> Float[Tensor, "b c t h w"]:
    """The clip with grey where a cube is not kept."""
    size = cube[0] * cube[1] * cube[2]
    shown = uncubify(kept.cpu().unsqueeze(-1).float().expand(*kept.shape, size), grid, cube) > 0
    return torch.where(shown, video, BLANK)
