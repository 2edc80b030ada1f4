"""Transformers of another shape with as many parameters."""

from unmask.parts.nets.vit import Shape

STEP = 4  # widths are multiples of this, as sine-cosine positions on a grid need


def block_parameters(width: int, depth: int) -> int:
    """Parameters of the blocks of a transformer: weights 12 depth width^2, biases and norms 13 depth width."""
    return depth * (12 * width**2 + 13 * width)


def deeper_shape(shape: Shape, times: int) -> Shape:
    """So many times the blocks, narrower so that the parameters stay as nearly the same as widths allow.

    Heads keep their width as nearly as they can: 768 x 12 becomes 384 x 48 for four times the blocks.
    """
    if times < 1:
        raise ValueError(f"{times} times the blocks are none; give at least 1")
    depth, goal = shape.depth * times, block_parameters(shape.width, shape.depth)
    width = min(
        range(STEP, shape.width + STEP, STEP),
        key=lambda width: abs(block_parameters(width, depth) - goal),
        default=STEP,
    )
    if times == 1:
        width = shape.width
    size = shape.width / shape.heads
    heads = min((h for h in range(1, width + 1) if width % h == 0), key=lambda heads: abs(width / heads - size))
    return Shape(width, depth, heads)
