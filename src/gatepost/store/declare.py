"""Zones as directives declare them: a name has one size and one use in the whole configuration."""

from dataclasses import dataclass

from gatepost.config.directive import Scene
from gatepost.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Declaration:
    """A zone that a directive named. ``use`` tells kinds of zones apart; only the code sees it."""

    name: str
    size: int
    use: str


def declare_zone(scene: Scene, name: str, size: int, use: str) -> None:
    """Claim a zone for ``use``; again with the same size is fine. Raises ConfigError if it is something else."""
    for claim in scene.claimed:
        if isinstance(claim, Declaration) and claim.name == name:
            if claim.use != use:
                raise ConfigError(f'the shared memory zone "{name}" is already declared for a different use')
            if claim.size != size:
                raise ConfigError(
                    f'the size {size} of shared memory zone "{name}" '
                    f"conflicts with already declared size {claim.size}"
                )
    scene.claim(Declaration(name, size, use))
