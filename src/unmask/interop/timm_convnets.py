"""timm's convolutional networks as masked encoders: its own modules, computing at the active positions only.

ConvNet(TimmConvNet("convnext_atto.d2_in1k", pretrained=True), image_size=224)
"""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unmask.parts.nets.masked_conv import (
    Active,
    MaskedBatchNorm2d,
    MaskedLayerNorm2d,
    active_mean,
    active_rows,
    from_rows,
    only_active,
)

COARSE = 4  # least stride of a stage; what is finer is the beginning of a network
SPATIAL = ("conv2d", "max_pool2d", "avg_pool2d")
CHANNELS_LAST = (F.layer_norm, F.linear)


class AtActive(TorchFunctionMode):
    """Within it, torch's layers on maps read the active positions and leave 0 at all others.

    Means over a whole map, as in squeeze-and-excitation, are those of its active positions.
    """

    def __init__(self, active: Active):
        super().__init__()
        self.active = active

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        x = args[0] if args and isinstance(args[0], Tensor) and args[0].ndim == 4 else None
        if x is None or x.shape[-2:] == (1, 1):
            return func(*args, **kwargs)
        if name in SPATIAL:
            return only_active(func(*args, **kwargs), self.active)
        if func is F.batch_norm:
            return from_rows(func(active_rows(x, self.active), *args[1:], **kwargs), x, self.active)
        if func in CHANNELS_LAST:
            return only_active(func(*args, **kwargs).movedim(-1, 1), self.active).movedim(1, -1)
        if name == "mean" and _over_positions(*args[1:], **kwargs):
            mean = active_mean(x, self.active)
            return mean if kwargs.get("keepdim", len(args) > 2 and args[2]) else mean[..., 0, 0]
        return func(*args, **kwargs)


def _over_positions(dim: Any = None, *_: Any, **__: Any) -> bool:
    return isinstance(dim, tuple | list) and sorted(axis % 4 for axis in dim) == [2, 3]


class TimmConvNet(nn.Module):
    """A network of timm by name, as `ConvNet` takes it. Needs the extra `timm`; its weights keep timm's names.

    norm: batch norm if it has any, else layer norm. Batch statistics are those of one process.
    Raises ValueError for networks whose norms take statistics over positions of a single picture.
    """

    def __init__(self, name: str, pretrained: bool = False, channels: int = 3, drop_path: float = 0.0):
        super().__init__()
        try:
            import timm
        except ImportError as error:
            raise ImportError("timm is not installed; pip install 'unmask[timm]'") from error
        options: dict[str, Any] = {"in_chans": channels} | ({"drop_path_rate": drop_path} if drop_path else {})
        self.network = timm.create_model(name, pretrained=pretrained, features_only=True, **options)
        stages: Any = self.network.feature_info
        taken = [(width, stride) for width, stride in zip(stages.channels(), stages.reduction(), strict=True)]
        self.widths, self.strides = (tuple(sizes) for sizes in zip(*[s for s in taken if s[1] >= COARSE], strict=True))
        kinds = {type(module) for module in self.network.modules()}
        if any(issubclass(kind, nn.GroupNorm | nn.InstanceNorm2d) for kind in kinds):
            raise ValueError(f"{name} has group norms, which mix hidden and visible positions; choose another network")
        batch = any(issubclass(kind, nn.BatchNorm2d) for kind in kinds)
        self.norm: type[nn.Module] = MaskedBatchNorm2d if batch else MaskedLayerNorm2d

    def forward(self, image: Float[Tensor, "b c h w"], active: Active | None = None) -> list[Float[Tensor, "b _ _ _"]]:
        """One map per stage, finest first, 0 where nothing is active."""
        if active is None:
            return self.network(image)[-len(self.strides) :]
        with AtActive(active):
            stages = self.network(image)[-len(self.strides) :]
        return [only_active(stage, active) for stage in stages]
