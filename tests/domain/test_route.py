"""The route as a graph."""

from mes.domain.product import BomLine, Definition, Step
from mes.domain.route import NO_ROUTE, Route, in_working_order, route_of

DIAMOND = Definition(
    part="D",
    revision="A",
    name="Diamond",
    family="compute",
    bom=(BomLine(("P1", "P2"), "X", retest_from="left"), BomLine(("P3",), "Y")),
    route=(
        Step("end", "k", after=("left", "right")),
        Step("left", "k", after=("begin",), installs=("P2",)),
        Step("right", "k", after=("begin",), installs=("P3", "P1")),
        Step("begin", "k", installs=("P1",)),
    ),
)


def test_steps_come_after_their_predecessors_and_otherwise_as_written() -> None:
    assert tuple(Route(DIAMOND).steps) == ("begin", "left", "right", "end")


def test_what_comes_before_and_what_is_done_again() -> None:
    route = Route(DIAMOND)
    assert route.before["end"] == ("begin", "left", "right")
    assert route.before["begin"] == ()
    assert route.onward["left"] == ("left", "end")
    assert route.onward["begin"] == ("begin", "left", "right", "end")


def test_what_must_be_installed_before_a_step() -> None:
    route = Route(DIAMOND)
    assert route.installs_before["end"] == ("P1", "P2", "P3")
    assert route.installs_before["left"] == ("P1",)
    assert route.positions == {"P1", "P2", "P3"}
    assert route.retest_from == {"P1": "left", "P2": "left"}


def test_which_steps_are_next() -> None:
    route = Route(DIAMOND)
    assert route.next(()) == ("begin",)
    assert route.next({"begin"}) == ("left", "right")
    assert route.next({"begin", "left", "right"}) == ("end",)
    assert route.next(set(route.steps)) == ()


def test_a_circle_ends() -> None:
    steps = (Step("a", "k", after=("b",)), Step("b", "k", after=("a",)))
    assert {step.step for step in in_working_order(steps)} == {"a", "b"}
    circle = Route(Definition("C", "A", "C", "compute", route=steps))
    assert circle.before == {"a": ("b",), "b": ("a",)}
    assert circle.next(()) == ()


def test_a_route_is_built_once_per_definition() -> None:
    assert route_of(DIAMOND) is route_of(DIAMOND)
    assert route_of(None) is NO_ROUTE
    assert NO_ROUTE.is_bought_as_is
    assert not route_of(DIAMOND).is_bought_as_is
