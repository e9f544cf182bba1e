"""The rooms' routers, in the order in which routes are tried."""

from importlib import import_module
from importlib.util import find_spec

from fastapi import APIRouter

from gridmill.api.routes import API_PREFIX
from gridmill.auth import endpoints as keys


def list_routers() -> list[tuple[str, APIRouter]]:
    """Every room's router with the prefix that it is mounted under."""
    found = [keys.router]
    for room in ("datasources", "datasets", "tasks"):
        name = f"gridmill.{room}.endpoints"
        try:
            known = find_spec(name)
        except ModuleNotFoundError:
            known = None
        if known:
            found.append(import_module(name).router)
    return [(API_PREFIX, router) for router in found]
