"""What to say about many translations in the end: how many failed, and which images were far from the training's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from i2i.compute.units import is_or_are
from i2i.translation.pipeline import Outcome

FAR_LARGER, FAR_SMALLER, FAR_FROM_TRAINING = 4.0, 0.5, 2.0


class Tally:
    """Counts outcomes.

    Args:
        trained: Side of the training images in pixels.
        total: The number of images.
    """

    def __init__(self, trained: int, total: int) -> None:
        self.done = self.failed = 0
        self._trained, self._total = trained, total
        self._far: Counter[str] = Counter()
        self._at = trained

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.done += 1
        self.failed += bool(outcome.error)
        if not outcome.error:
            self._at = outcome.shorter
            self._far["reduced"] += outcome.reduction > FAR_LARGER
            self._far["enlarged"] += outcome.reduction < FAR_SMALLER
            self._far["animated"] += outcome.dropped > 0
            self._far["beyond"] += outcome.shorter > FAR_FROM_TRAINING * self._trained

    def notes(self) -> Iterator[str]:
        """Yield one sentence per way in which images were far from what the model can use, with what to do."""
        if self._far["reduced"]:
            yield (
                f"{self._those('reduced')} over 4 times as large as the {self._at} px of the translation, which is "
                f"blurred. For a sharper one, use --size or --tiles."
            )
        if self._far["enlarged"]:
            yield (
                f"{self._those('enlarged')} less than half as large as the {self._at} px of the translation. Larger "
                f"images give better translations."
            )
        if self._far["animated"]:
            yield f"{self._those('animated')} animated. Only the first frame was translated; --frames does all."
        if self._far["beyond"]:
            yield (
                f"{self._those('beyond')} translated at more than twice the {self._trained} px of the training images. "
                f"Look closely; a smaller --size is nearer to the training."
            )

    def _those(self, what: str) -> str:
        """Return the images of one kind as the subject of a sentence, with its verb."""
        count = self._far[what]
        return "The image is" if self._total == 1 else f"{count} of {self._total} images {is_or_are(count)}"
