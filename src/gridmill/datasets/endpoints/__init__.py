"""The room's routes, thin: check the path, read the request, call the service, write the reply."""

from gridmill.datasets.endpoints.cells import router as cells
from gridmill.datasets.endpoints.columns import router as columns
from gridmill.datasets.endpoints.datasets import router as datasets
from gridmill.datasets.endpoints.rows import router as rows
from gridmill.kit.http import make_router

router = make_router()
for part in (datasets, columns, rows, cells):
    router.include_router(part)
