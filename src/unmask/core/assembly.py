"""From plain settings to a method: signatures are the configuration.

A method's parameter that is annotated with a class is a part. Its arguments are settings under its name,
`decoder_depth=4` for `decoder: TokenDecoder`; those of `encoder` and `mask` need no prefix, `patch_size=8`. A part's
own parameters may be parts again. A part whose constructor asks for `encoder` receives the one just built.
"""

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

ROOT = "encoder"  # the part that other parts may ask for
PLAIN = (ROOT, "mask")  # parts whose arguments are set without a prefix


@dataclass(frozen=True)
class Argument:
    """One setting: its name, its type as written, its default, and the callable that takes it."""

    name: str
    kind: Any
    default: Any
    owner: str


def arguments(build: Callable) -> dict[str, Argument]:
    """Every setting that `build` and its parts accept, by name."""
    return {argument.name: argument for argument in _walk(build)}


def parts_of(build: Callable) -> dict[str, type]:
    """The parts that `build` takes itself, by name, and their classes."""
    found = {name: part_class(p.annotation) for name, p in inspect.signature(build).parameters.items()}
    return {name: part for name, part in found.items() if part is not None}


def arguments_of_part(build: Callable, name: str) -> tuple[str, ...]:
    """The names of the settings that make the part `name` of `build`."""
    return tuple(argument.name for argument in _walk(parts_of(build)[name], _prefix("", name), top=False))


def assemble(build: Callable, settings: dict[str, Any]) -> Any:
    """Calls `build` with its parts made from the settings.

    Raises ValueError for a name that nothing takes (with the nearest known ones) or a value of the wrong kind.
    """
    return _build(build, "", read_settings(build, settings), {})


def read_settings(build: Callable, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, each as its argument's type. Raises as `assemble` does."""
    known = arguments(build)
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
            raise ValueError(f"argument {name!r} is unknown; {hint}")
    return {name: parse(value, known[name]) for name, value in settings.items()}


def parse(value: Any, argument: Argument) -> Any:
    """The value as the argument's type; text such as "8", "0.5", "true", "none" or "64,96" is read."""
    if not isinstance(value, str):
        value = tuple(value) if isinstance(value, list) else value
        if _fits(value, argument.kind):
            return value
        raise _wrong(value, argument)
    for read in (_word, int, float, _numbers, str):
        try:
            candidate = read(value)
        except ValueError:
            continue
        if _fits(candidate, argument.kind):
            return candidate
    raise _wrong(value, argument)


def _walk(build: Callable, prefix: str = "", top: bool = True):
    for name, parameter in inspect.signature(build).parameters.items():
        part = part_class(parameter.annotation)
        if part is None:
            default = None if parameter.default is parameter.empty else parameter.default
            yield Argument(prefix + name, parameter.annotation, default, build.__name__)
        elif name != ROOT or top:
            yield from _walk(part, _prefix(prefix, name), top=False)


def _build(build: Callable, prefix: str, values: dict[str, Any], shared: dict[str, Any]) -> Any:
    given = {}
    for name, parameter in inspect.signature(build).parameters.items():
        part = part_class(parameter.annotation)
        if part is None:
            if prefix + name in values:
                given[name] = values[prefix + name]
        elif name == ROOT and ROOT in shared:
            given[name] = shared[ROOT]
        else:
            given[name] = _build(part, _prefix(prefix, name), values, shared)
            if name == ROOT:
                shared[ROOT] = given[name]
    return build(**given)


def _prefix(prefix: str, name: str) -> str:
    return prefix if name in PLAIN else f"{prefix}{name}_"


def part_class(annotation: Any) -> type | None:
    """The class of a part in an annotation such as `TokenDecoder | None`, or None for a plain value."""
    for option in _options(annotation):
        if inspect.isclass(option) and option.__module__.startswith("unmask."):
            return option
    return None


def _options(annotation: Any) -> tuple:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return typing.get_args(annotation)
    return (annotation,)


def _fits(value: Any, kind: Any) -> bool:
    for option in _options(kind):
        if option is None or option is types.NoneType:
            if value is None:
                return True
        elif typing.get_origin(option) is tuple:
            members = [m for m in typing.get_args(option) if m is not Ellipsis]
            if isinstance(value, tuple) and all(_fits(v, members[0]) for v in value):
                return True
        elif isinstance(value, bool) or option is bool:
            if isinstance(value, bool) and option is bool:
                return True
        elif inspect.isclass(option) and (isinstance(value, option) or (option is float and isinstance(value, int))):
            return True
    return False


def _word(text: str) -> bool | None:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    raise ValueError(text)


def _numbers(text: str) -> tuple:
    parts = text.replace("x", ",").split(",")
    if len(parts) < 2:
        raise ValueError(text)
    return tuple(int(part) if part.strip().lstrip("-").isdigit() else float(part) for part in parts)


def _wrong(value: Any, argument: Argument) -> ValueError:
    names = [getattr(option, "__name__", str(option)) for option in _options(argument.kind)]
    return ValueError(f"{argument.name}={value!r} is not {' or '.join(names)}; its default is {argument.default!r}")
