"""What replies say of tasks: plain dicts, written as JSON once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from gridmill.datasets.task_writes import CONFIDENCE_BINS, TaskWrites
from gridmill.kit.clock import now, to_wire
from gridmill.providers.llm.model import Usage
from gridmill.tasks.model import Task, TaskKind, TaskStatus
from gridmill.tasks.repository.tasks import UsageDay

_MEASURED = ("coverage", "completeness")


def task_to_wire(task: Task) -> dict[str, Any]:
    """The contract's task object."""
    cells = task.counts if task.kind is TaskKind.BULK else task.cells
    results: dict[str, Any] = {
        "rowsCreated": task.rows_created,
        "cellsWritten": task.cells.completed,
        "cellsFailed": cells.failed,
        "cellsNeedingReview": cells.needs_review,
        "cellsSkipped": cells.skipped,
    }
    if task.stopped_by is not None:
        results["stoppedBy"] = task.stopped_by
    if task.message is not None:
        results["message"] = task.message
    results |= {name: task.measured[name] for name in _MEASURED if name in task.measured}
    duration = task.duration
    return {
        "taskId": str(task.task_id),
        "datasetId": str(task.dataset_id),
        "type": task.kind.value,
        "operation": task.operation,
        "status": task.status.value,
        "request": task.request,
        "progress": task.progress.to_wire(),
        "results": results,
        "usage": usage_to_wire(task.usage),
        "error": task.error if task.status is TaskStatus.FAILED else None,
        "webhookId": None if task.webhook_id is None else str(task.webhook_id),
        "createdAt": to_wire(task.created_at),
        "startedAt": to_wire(task.started_at),
        "completedAt": to_wire(task.completed_at),
        "durationMs": None if duration is None else round(duration.total_seconds() * 1000),
        "estimatedCompletionAt": to_wire(task.estimate_end(now())),
    }


def usage_to_wire(usage: Usage) -> dict[str, Any]:
    """The contract's `usage` object; the cost to a millionth of a cent, or null when not known."""
    return {
        "requests": usage.requests,
        "cachedRequests": usage.cached_requests,
        "promptTokens": usage.prompt_tokens,
        "completionTokens": usage.completion_tokens,
        "costUsd": None if usage.cost_usd is None else round(usage.cost_usd, 8),
    }


def report_to_wire(
    task: Task, writes: TaskWrites, made_up: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a task filled, and how like real rows those are that it `made_up`."""
    statuses: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for status, code, cells in writes.statuses:
        statuses[status] += cells
        if code is not None:
            errors[code] += cells
    by_bin = {number: cells for number, cells, _ in writes.confidences}
    known = sum(by_bin.values())
    mean = sum(total for _, _, total in writes.confidences) / known if known else None
    return {
        "taskId": str(task.task_id),
        "datasetId": str(task.dataset_id),
        "operation": task.operation,
        "status": task.status.value,
        "cellsByStatus": {name: statuses[name] for name in ("ok", "needs_review", "error")},
        "cellsByError": dict(errors),
        "confidence": {
            "cells": known,
            "mean": None if mean is None else round(mean, 4),
            "histogram": [
                {
                    "from": number / CONFIDENCE_BINS,
                    "to": (number + 1) / CONFIDENCE_BINS,
                    "cells": by_bin.get(number, 0),
                }
                for number in range(CONFIDENCE_BINS)
            ],
        },
        "generation": made_up,
    }


def workspace_usage_to_wire(first: date, last: date, days: Sequence[UsageDay]) -> dict[str, Any]:
    """Usage by day, and in all."""
    total = sum((day.usage for day in days), Usage())
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "days": [
            {
                "date": day.day.isoformat(),
                "tasks": day.tasks,
                "cells": day.cells,
                **usage_to_wire(day.usage),
            }
            for day in days
        ],
        "total": {
            "tasks": sum(day.tasks for day in days),
            "cells": sum(day.cells for day in days),
            **usage_to_wire(total),
        },
    }
