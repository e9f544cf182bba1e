"""The rooms' routers, in the order in which routes are tried."""

from fastapi import APIRouter

from gridmill.api.routes import API_PREFIX
from gridmill.auth.endpoints import router as keys
from gridmill.datasets.endpoints import router as datasets
from gridmill.datasources.endpoints import router as datasources
from gridmill.tasks.endpoints import router as tasks
from gridmill.webhooks.endpoints import router as webhooks


def list_routers() -> list[tuple[str, APIRouter]]:
    """Every room's router with the prefix that it is mounted under."""
    return [(API_PREFIX, router) for router in (keys, datasources, datasets, tasks, webhooks)]
