"""Branch points that the user chooses: which modules of a generator each group has."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch

from i2i import ConfigError, Generator, did_you_mean, routed

OPTION = "--transfer.branch_points"


def chosen_points(generator: Generator, chosen: Sequence[str] | None) -> tuple[str, ...]:
    """Return the patterns of the modules to branch: the user's, or the generator's if there are none.

    Raises:
        ConfigError: A pattern of the user's matches no module.
    """
    if chosen is None:
        return generator.branch_points
    paths = [path for path, _ in generator.named_modules() if path]
    for point in chosen:
        if not any(fnmatchcase(path, point) for path in paths):
            raise ConfigError(
                f"{OPTION} names '{point}', but the generator '{generator.name}' has no such module."
                f"{did_you_mean(point, paths)} {_layout(generator)}"
            )
    return tuple(chosen)


@torch.no_grad()
def check_branched(generator: Generator, points: Sequence[str]) -> None:
    """Translate a blank image: a generator may use a module's parts without calling it, and then it cannot be branched.

    Raises:
        ConfigError: The generator no longer translates.
    """
    weight, side, training = next(generator.parameters()), generator.config.size, generator.training
    try:
        with routed(None):
            generator.eval()(weight.new_zeros(1, 3, side, side))
    except (AttributeError, NotImplementedError, TypeError) as error:
        raise ConfigError(
            f"The generator '{generator.name}' cannot translate with {OPTION} {','.join(points)}: it does not call one "
            "of these modules as a whole. Name the stages of a sequence (down.*, not down) and no parts of a stage."
        ) from error
    finally:
        generator.train(training)


def _layout(generator: Generator) -> str:
    outermost = [name for name, _ in generator.named_children()]
    inside = next((path for path, _ in generator.named_modules() if "." in path), outermost[0])
    return f"It consists of {', '.join(outermost)}. Modules inside are named like {inside}."
