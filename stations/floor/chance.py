"""Chance that can be had again: each question has a die of its own, named by what is asked.

So what becomes of one unit does not depend on how many others there are or when they come.
"""

from random import Random


class Chance:
    """The dice of one seed."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def of(self, *names: object) -> Random:
        """The die for a question; the same names give the same throws."""
        return Random("/".join(map(str, (self._seed, *names))))

    def happens(self, share: float, *names: object) -> bool:
        """Whether something happens that does in a share of all cases."""
        return self.of(*names).random() < share
