"""A transformer or a convolutional network, by the name of the model."""

from typing import Any

from unmask.parts.nets.convnet import KINDS, SHAPES, ConvNet
from unmask.parts.nets.vit import ViT


class Backbone:
    """Makes a ViT, or a ConvNet where `model` names one: "resnet50", "resnet:32-64/1-1".

    patch_size, class_token, positions: of a ViT; the cells of a convolutional network are as large as the stride of
    its last stage. Other arguments as in ViT and ConvNet.
    """

    def __new__(
        cls,
        model: str = "vit_base",
        image_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        channels: int = 3,
        class_token: bool = True,
        positions: str = "sincos",
        drop_path: float = 0.0,
    ) -> Any:
        if model in SHAPES or model.partition(":")[0] in KINDS:
            return ConvNet(model, image_size, None, channels, drop_path)
        return ViT(model, image_size, patch_size, channels, class_token, positions, drop_path)
