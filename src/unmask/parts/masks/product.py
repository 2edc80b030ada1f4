"""Whole rows and whole columns hidden at once: what is seen is where a seen row and a seen column cross."""

from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, keep_count, key_of


def product_mask(rows: Float[Tensor, "b h"], columns: Float[Tensor, "b w"], seen: tuple[int, int]) -> Mask:
    """Shows the places of the `seen` rows and columns with the lowest noise, in ascending order.

    Source: Huang et al. 2022 (Audio-MAE), random_masking_2d of the released code.
    """
    hidden = [Mask.from_scores(noise, count).hidden for noise, count in zip((rows, columns), seen, strict=True)]
    return Mask.of((hidden[0].unsqueeze(2) | hidden[1].unsqueeze(1)).flatten(1))


class ProductMask:
    """Hides the share `rows` of the rows and the share `columns` of the columns of a grid.

    Of a spectrogram rows are times and columns frequencies.
    """

    def __init__(self, rows: float = 0.6, columns: float = 0.5):
        keep_count(1000, rows)
        keep_count(1000, columns)
        self.rows = rows
        self.columns = columns

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        values = batch[key_of(model.encoder)]
        height, width = model.encoder.grid_of(values)
        noise = context.uniform(values.shape[0], height + width, device=values.device)
        seen = (keep_count(height, self.rows), keep_count(width, self.columns))
        mask, places = product_mask(noise[:, :height], noise[:, height:], seen), model.places(batch)
        return mask if places is None else Mask.of(mask.hidden & places, places)
