"""The vision transformer on spectrograms: time runs down, frequency across."""

from unmask.parts.nets.vit import ViT


class SpectrogramViT(ViT):
    """A vision transformer whose pictures are spectrograms of one channel.

    frames: moments of a spectrogram. bands: frequencies of each. Others as in ViT.
    """

    key = "spectrogram"

    def __init__(
        self,
        model: str = "vit_base",
        frames: int = 1024,
        bands: int = 128,
        patch_size: int = 16,
        class_token: bool = True,
        drop_path: float = 0.0,
    ):
        super().__init__(model, (frames, bands), patch_size, 1, class_token, drop_path=drop_path)
