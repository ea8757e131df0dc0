"""The floor's clock: processes that wait for time, for one another, and for a free station.

A process is a generator that yields what it waits for: seconds, a `Task`, or `Pool.take()`. Everything happens in the
order of time and, at equal times, in the order in which it was begun: the same floor runs the same every time.
"""

import heapq
from collections import deque
from collections.abc import Generator
from itertools import count
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Task(Generic[R]):
    """A process under way; wait for it by yielding it. `result` is what it returned."""

    def __init__(self, process: "Process[R]") -> None:
        self.process = process
        self.done = False
        self.result: R | None = None
        self.waiting: list[Task[Any]] = []


class Take(Generic[T]):
    """A wish for something of a pool."""

    def __init__(self, pool: "Pool[T]") -> None:
        self.pool = pool


Wish: TypeAlias = float | Task[Any] | Take[Any]
Process: TypeAlias = Generator[Wish, Any, R]


class Pool(Generic[T]):
    """Things of which there are only so many: whoever came first gets the next that is free."""

    def __init__(self, things: list[T]) -> None:
        self.things = tuple(things)
        self.free = deque(things)
        self.waiting: deque[Task[Any]] = deque()

    def take(self) -> Process[T]:
        """Wait for one. Use with `yield from`."""
        taken: T = yield Take(self)
        return taken


class Schedule:
    """Runs processes in their own time, which is in seconds from 0 on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._number = count()
        self._due: list[tuple[float, int, Task[Any], Any]] = []

    def spawn(self, process: Process[R], at: float | None = None) -> Task[R]:
        """Begin a process, now or later."""
        task = Task(process)
        self._wake(task, self.now if at is None else at)
        return task

    def give_back(self, pool: Pool[T], thing: T) -> None:
        """Something taken is free again."""
        if pool.waiting:
            self._wake(pool.waiting.popleft(), self.now, thing)
        else:
            pool.free.append(thing)

    def run(self, until: float) -> None:
        """Let everything happen up to a time."""
        while self._due and self._due[0][0] <= until:
            self.now, _, task, value = heapq.heappop(self._due)
            self._go_on(task, value)

    def run_until(self, task: Task[Any]) -> None:
        """Let everything happen until a process is done."""
        while not task.done:
            self.now, _, next_task, value = heapq.heappop(self._due)
            self._go_on(next_task, value)

    def _wake(self, task: Task[Any], at: float, value: Any = None) -> None:
        heapq.heappush(self._due, (at, next(self._number), task, value))

    def _go_on(self, task: Task[Any], value: Any) -> None:
        try:
            wish = task.process.send(value)
        except StopIteration as end:
            task.done, task.result = True, end.value
            for one in task.waiting:
                self._wake(one, self.now, task.result)
            return
        self._wait(task, wish)

    def _wait(self, task: Task[Any], wish: Wish) -> None:
        if isinstance(wish, Task):
            if wish.done:
                self._wake(task, self.now, wish.result)
            else:
                wish.waiting.append(task)
        elif isinstance(wish, Take):
            if wish.pool.free:
                self._wake(task, self.now, wish.pool.free.popleft())
            else:
                wish.pool.waiting.append(task)
        else:
            self._wake(task, self.now + wish)
