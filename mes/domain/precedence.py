"""What waits for what: things that can never be ready, and the cycle that is to blame.

Serves routes (a step waits for its predecessors) and bills of materials (a part waits for its children).
"""

from collections.abc import Collection, Mapping


def never_ready(waits_for: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """Names that never become ready, each with those it waits for that never do either.

    Every name that is waited for must be a key.
    """
    waiting = {name: set(befores) for name, befores in waits_for.items()}
    followers: dict[str, list[str]] = {name: [] for name in waiting}
    for name, befores in waiting.items():
        for before in befores:
            followers[before].append(name)
    ready = [name for name, befores in waiting.items() if not befores]
    while ready:
        passed = ready.pop()
        for follower in followers[passed]:
            waiting[follower].discard(passed)
            if not waiting[follower]:
                ready.append(follower)
    return {name: tuple(sorted(befores)) for name, befores in waiting.items() if befores}


def cycle_through(start: str, leads_to: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """A shortest cycle through `start`, beginning with it, each name leading to the next; empty when there is none."""
    came_from: dict[str, str] = {}
    layer = [start]
    while layer and start not in came_from:
        below: list[str] = []
        for name in layer:
            for following in sorted(leads_to.get(name, ())):
                if following not in came_from:
                    came_from[following] = name
                    below.append(following)
        layer = below
    if start not in came_from:
        return ()
    backwards = [start]
    while (before := came_from[backwards[-1]]) != start:
        backwards.append(before)
    return (start, *reversed(backwards[1:]))
