"""The vision transformer on clips: cubes of a few frames are the places, and only the visible ones enter."""

import math

from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.positions import LinePositions
from unmask.parts.nets.transformer import Record, Transformer
from unmask.parts.nets.vit import transformer_shape
from unmask.parts.ops.cubes import cube_grid, cubify


class VideoViT(nn.Module):
    """Cubes, fixed positions along the flattened clip and a pre-norm transformer that attends to all times and places.

    model: a preset ("vit_tiny" ... "vit_huge") or "WIDTHxDEPTHxHEADS". image_size: side of a frame, or (height, width).
    frames: of a clip. stride: frames of the file from one of the clip to the next. tube: frames of a cube.
    Clips of other sizes are accepted at any time.
    Source: Tong et al. 2022 (VideoMAE), modeling_pretrain.py and modeling_finetune.py.
    """

    key = "video"
    prefix = 0  # tokens before the places

    def __init__(
        self,
        model: str = "vit_base",
        image_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        frames: int = 16,
        stride: int = 4,
        tube: int = 2,
        channels: int = 3,
        key_bias: bool = False,
        drop_path: float = 0.0,
    ):
        super().__init__()
        height, wide = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, wide, patch_size, frames, stride, tube, channels) < 1:
            raise ValueError(
                f"image_size {image_size}, patch_size {patch_size}, frames {frames}, stride {stride}, tube {tube} and"
                f" channels {channels} must be positive"
            )
        self.shape = transformer_shape(model)
        self.width, self.channels = self.shape.width, channels
        self.cube = (tube, patch_size, patch_size)
        self.grid = cube_grid(frames, height, wide, self.cube)
        if math.prod(self.grid) < 2:
            raise ValueError(f"{frames} frames of {height}x{wide} are a single cube; use smaller ones")
        self.numbers = math.prod(self.cube) * channels  # of one cube
        self.embed = Linear(self.numbers, self.width)
        self.trunk = Transformer(*self.shape, drop_path=drop_path, key_bias=key_bias)
        self.positions = LinePositions(math.prod(self.grid), self.width)
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.zeros_(self.embed.bias)

    def grid_of(self, video: Float[Tensor, "b c t h w"]) -> tuple[int, int, int]:
        """The grid on which this clip is cut: time, rows, columns."""
        frames, height, width = video.shape[2:]
        return cube_grid(frames, height, width, self.cube)

    def forward(
        self,
        video: Float[Tensor, "b c t h w"],
        mask: Mask | None = None,
        record: Record | None = None,
        layers: int | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        """The seen cubes. layers: stop after that many blocks, before the final norm.

        places: without a mask, False where a place must not be attended to.
        """
        if video.shape[1] != self.channels:
            raise ValueError(f"video has {video.shape[1]} channels, this encoder {self.channels}")
        cubes, valid = cubify(video, self.cube), places
        positions = self.positions(cubes.shape[1]).expand(video.shape[0], -1, -1)
        if mask is not None:
            cubes, positions, valid = mask.visible(cubes), mask.visible(positions), mask.valid
        return self.trunk(self.embed(cubes) + positions, valid, record, layers)
