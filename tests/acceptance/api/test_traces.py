"""A request, its task's jobs, their model calls and deliveries are one trace at a collector."""

from collections.abc import Callable, Generator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.acceptance.conftest import connect
from tests.support.api import Json, ask, column_id, end_of, make_dataset
from tests.support.fake_model import FakeModel
from tests.support.receiver import Receiver
from tests.support.serving import Served
from tests.support.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
# A tenant's own value, and an address that may hold a secret: no span tells them.
VALUE = "Planted Company"


@pytest.fixture
def receiver() -> Generator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def read_spans(receiver: Receiver) -> list[tuple[str, Span]]:
    """Spans of our trace with the name of their service."""
    found: list[tuple[str, Span]] = []
    for _, body in receiver.at("/v1/traces"):
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                found += [
                    (told["service.name"], span)
                    for span in scope.spans
                    if span.trace_id.hex() == TRACE
                ]
    return found


def texts(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def make_environment(model: FakeModel, receiver: Receiver) -> dict[str, str]:
    return {
        **model.environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "GRIDMILL_EGRESS_ALLOW": "127.0.0.0/8",
        "GRIDMILL_WEBHOOK_ALLOW_HTTP": "true",
    }


async def fill_one_cell(served: Served, receiver: Receiver) -> Json:
    async with connect(served) as client:
        hook = {"name": "hook", "url": f"{receiver.url}/planted-path", "secret": "x" * 16}
        events = ["dataset.task.completed"]
        await ask(client, "POST", "/webhooks", json={**hook, "events": events, "headers": {}})
        sector = {"name": "sector", "metadata": {"prompt": "The sector of {{company}}"}}
        dataset = await make_dataset(client, f"company\n{VALUE}\n", [sector])
        task = await ask(
            client,
            "POST",
            f"/datasets/{dataset['datasetId']}/tasks/bulk",
            json={"columnIds": [column_id(dataset, "sector")]},
            headers={"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-Id": "asked-once"},
        )
        return await end_of(client, task)


async def test_a_trace_leads_from_a_request_over_the_queue_to_model_calls_and_deliveries(
    make_server: Callable[..., Served], make_model: Callable[..., FakeModel], receiver: Receiver
) -> None:
    served = make_server(environment=make_environment(make_model(), receiver))
    served.start()
    task = await fill_one_cell(served, receiver)

    async def all_arrived() -> dict[str, tuple[str, Span]] | None:
        spans = {span.name: (service, span) for service, span in read_spans(receiver)}
        return spans if {"webhook delivery", "model call"} <= spans.keys() else None

    spans = await eventually(all_arrived, timeout=30)
    served.stop()
    spans = {span.name: (service, span) for service, span in read_spans(receiver)}
    by_id = {span.span_id: span for _, span in spans.values()}
    service, request = next(found for name, found in spans.items() if name.startswith("POST "))
    assert service == "gridmill-api"
    assert request.parent_span_id.hex() == CALLER

    def path_of(name: str) -> list[str]:
        service, span = spans[name]
        assert service == "gridmill-worker"
        path = [span.name]
        while (span := by_id.get(span.parent_span_id)) is not None:
            path.append(span.name)
        return path

    planned = ["job tasks.plan", request.name]
    assert path_of("model call") == ["model call", "job tasks.batch", *planned]
    assert path_of("webhook delivery")[0] == "webhook delivery"
    assert path_of("webhook delivery")[-3:] == ["job tasks.batch", *planned]
    batch = texts(spans["job tasks.batch"][1])
    assert batch["gridmill.task_id"] == task["taskId"]
    assert batch["gridmill.request_id"] == texts(request)["gridmill.request_id"] == "asked-once"
    assert texts(spans["model call"][1])["gridmill.outcome"] == "ok"
    sent = b"".join(body for _, body in receiver.at("/v1/traces"))
    for planted in (VALUE, "planted-path", "fake-key", "x" * 16):
        assert planted.encode() not in sent
