"""Letters are typeset one at a time: many at once would take the threads that pauses need."""

from fastapi.routing import APIRoute

from recorder.web import letter_pages


def test_each_letter_waits_for_the_one_before() -> None:
    routes = [route for route in letter_pages.router.routes if isinstance(route, APIRoute)]
    assert len(routes) == 2
    for route in routes:
        assert next(one.call for one in route.dependant.dependencies) is letter_pages.turn, route.path
