"""Architecture: the sizes of an encoder and its decoder, read from a method or from a file's tensors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

from torch import Tensor, nn

from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.transformer import Attention
from unmask.parts.nets.vit import SHAPES, ViT

Grid = tuple[int, int]


@dataclass(frozen=True)
class Architecture:
    """Sizes of a masked autoencoder; None where a file does not say, decoder sizes None where there is none."""

    width: int
    depth: int
    heads: int | None
    patch_size: int
    channels: int
    grid: Grid | None
    places: int
    class_token: bool
    learned_positions: bool | None
    layer_scale: bool
    decoder_width: int | None = None
    decoder_depth: int | None = None
    decoder_heads: int | None = None
    outputs: int | None = None

    @property
    def image_size(self) -> Grid:
        """Height and width of the picture that the grid covers."""
        if self.grid is None:
            raise ValueError(f"{self.places} places are not a square grid, and nothing says which grid they are")
        return self.grid[0] * self.patch_size, self.grid[1] * self.patch_size

    def to_json(self) -> dict:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def differences(self, other: "Architecture", ignore: Iterable[str] = ()) -> list[str]:
        """Every size that both state and that differs, as "channels 3 in the file, 13 here"."""
        found = []
        for name in (field.name for field in fields(self) if field.name not in ignore):
            theirs, ours = getattr(self, name), getattr(other, name)
            if theirs is not None and ours is not None and theirs != ours:
                found.append(f"{name.replace('_', ' ')} {_say(theirs)} in the file, {_say(ours)} here")
        return found


def _say(value) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def plain(module: nn.Module) -> nn.Module:
    """The module behind torch.compile's or a parallel wrapper."""
    inner = getattr(module, "_orig_mod", None)
    if inner is None and isinstance(module, nn.parallel.DistributedDataParallel):
        inner = module.module
    return plain(inner) if isinstance(inner, nn.Module) else module


def encoder_of(method: nn.Module) -> ViT:
    """The method's vision transformer; TypeError if it has none."""
    encoder = plain(getattr(plain(method), "encoder", method))
    if not isinstance(encoder, ViT):
        raise TypeError(
            f"{type(method).__name__} has no vision transformer as its encoder; only those can be converted"
        )
    return encoder


def decoder_of(method: nn.Module) -> TokenDecoder | None:
    """The method's token decoder, or None if it has none or another kind."""
    decoder = getattr(plain(method), "decoder", None)
    decoder = plain(decoder) if isinstance(decoder, nn.Module) else None
    return decoder if isinstance(decoder, TokenDecoder) else None


def architecture_of(method: nn.Module, encoder_only: bool = False) -> Architecture:
    """The sizes of a method's networks."""
    encoder, decoder = encoder_of(method), None if encoder_only else decoder_of(method)
    return Architecture(
        *encoder.shape,
        encoder.patch_size,
        encoder.channels,
        encoder.grid,
        encoder.grid[0] * encoder.grid[1],
        encoder.class_token is not None,
        encoder.positions.kind == "learned",
        any(name.endswith("scale1.factor") for name, _ in encoder.named_parameters()),
        *_decoder_sizes(decoder),
    )


def _decoder_sizes(decoder: TokenDecoder | None) -> tuple[int | None, ...]:
    if decoder is None:
        return None, None, None, None
    heads = next((module.heads for module in decoder.modules() if isinstance(module, Attention)), None)
    return decoder.embed.out_features, len(decoder.trunk.blocks), heads, decoder.head.out_features


def architecture_from(
    tensors: Mapping[str, Tensor],
    patch_size: int,
    grid: Grid | None = None,
    heads: int | None = None,
    decoder_heads: int | None = None,
    learned_positions: bool | None = None,
) -> Architecture:
    """The sizes that tensors under our names imply; the rest is what their configuration states."""
    width, values = tensors["encoder.embed.weight"].shape
    places = tensors["encoder.positions.table"].shape[0] if "encoder.positions.table" in tensors else 0
    side = math.isqrt(places)
    grid = grid or ((side, side) if side and side * side == places else None)
    if grid is not None and places and grid[0] * grid[1] != places:
        raise ValueError(
            f"the configuration states a grid of {_say(grid)}, but there are positions for {places} places"
        )
    decoder = "decoder.embed.weight" in tensors
    depth = _depth(tensors, "encoder")
    return Architecture(
        width,
        depth,
        heads or {shape[:2]: shape.heads for shape in SHAPES.values()}.get((width, depth)),
        patch_size,
        values // patch_size**2,
        grid,
        places or (grid[0] * grid[1] if grid else 0),
        "encoder.class_token" in tensors,
        learned_positions,
        any(name.endswith("scale1.factor") for name in tensors),
        tensors["decoder.embed.weight"].shape[0] if decoder else None,
        _depth(tensors, "decoder") if decoder else None,
        decoder_heads if decoder else None,
        tensors["decoder.head.weight"].shape[0] if decoder and "decoder.head.weight" in tensors else None,
    )


def _depth(tensors: Iterable[str], part: str) -> int:
    start = f"{part}.trunk.blocks."
    return len({name[len(start) :].split(".")[0] for name in tensors if name.startswith(start)})
