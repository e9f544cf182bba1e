"""Learners run on one thread here as in the worker's child process."""

from collections.abc import Generator

import pytest
import sklearn
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Generator[None]:
    """Threads that wait for each other on a busy machine cost ten times what they save."""
    assert sklearn.__version__  # its libraries are limited only once they are loaded
    with threadpool_limits(1):
        yield
