"""Traces when nobody collects them, or nobody is there."""

from gridmill.kit.traces import export_traces, open_span, write_traceparent

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_without_a_collector_there_is_no_trace_to_hand_on() -> None:
    async with export_traces(None, "service"):
        with open_span("work", "server", parent=PARENT) as span:
            span.note({"rows": 1})
            assert write_traceparent() is None


async def test_a_collector_that_is_away_stops_neither_the_work_nor_its_end() -> None:
    # Port 9 (discard): nobody listens there.
    async with export_traces("http://127.0.0.1:9", "service"):
        with open_span("work", "server", parent=PARENT):
            below = write_traceparent()
        with open_span("work", "server", parent="no traceparent"):
            own = write_traceparent()
    assert below is not None
    assert below[:36] == PARENT[:36]
    assert below != PARENT
    assert own is not None
    assert own[:36] != PARENT[:36]
    assert write_traceparent() is None
