"""Places inside a boundary, over HTTP: new rows, refreshed cells, and what is refused."""

from typing import Any

import httpx2
import pytest

from tests.support.api import Json, ask, column_id, end_of, read_grid, refuse, start_bulk, upload

CENTRE: Json = {"center": {"lat": 60.17, "lon": 24.943}, "radiusMeters": 300}
COLUMNS = [
    {"name": "name"},
    {"name": "category"},
    {"name": "Kind of food", "metadata": {"prompt": "Which cuisine does the place serve?"}},
    {"name": "phone", "dataType": "phone"},
    {"name": "website", "dataType": "url"},
    {"name": "latitude", "dataType": "number"},
    {"name": "longitude", "dataType": "number"},
]


async def make_map(
    client: httpx2.AsyncClient,
    config: Json,
    columns: list[Json] | None = None,
    rows: list[Json] | None = None,
) -> Json:
    body = {
        "type": "map",
        "name": "places",
        "columns": COLUMNS if columns is None else columns,
        "config": config,
    }
    dataset = await ask(client, "POST", "/datasets", json=body)
    if rows:
        await ask(client, "POST", f"/datasets/{dataset['datasetId']}/rows", json={"rows": rows})
    return dataset


async def make_rows(client: httpx2.AsyncClient, dataset: Json, count: int) -> Json:
    path = f"/datasets/{dataset['datasetId']}/tasks/new-rows"
    return await end_of(client, await ask(client, "POST", path, json={"rowCount": count}))


def read_values(grid: Json) -> list[Json]:
    names = [column["name"] for column in grid["columns"]]
    return [dict(zip(names, [cell["value"] for cell in row], strict=True)) for row in grid["data"]]


async def test_cafes_inside_a_circle_become_rows_and_are_not_made_twice(
    client: httpx2.AsyncClient,
) -> None:
    dataset = await make_map(client, {"boundary": CENTRE, "categories": ["kahvila"]})
    task = await make_rows(client, dataset, 10)
    assert task["status"] == "completed"
    assert task["operation"] == "map_extraction"
    results = task["results"]
    assert (results["rowsCreated"], results["coverage"]) == (10, "full")
    assert 0.1 < results["completeness"] < 0.5
    task = await make_rows(client, dataset, 1_000)
    results = task["results"]
    assert results["completeness"] == 1.0
    assert "All" in results["message"]
    assert task["progress"]["total"] == results["rowsCreated"]
    grid = await read_grid(client, dataset)
    places = read_values(grid)
    assert len(places) == results["rowsCreated"] + 10
    assert len({(place["name"], place["latitude"], place["longitude"]) for place in places}) == len(
        places
    )
    assert any("coffee" in (place["Kind of food"] or "") for place in places)
    assert all(abs(place["latitude"] - 60.17) < 0.0028 for place in places)
    name = grid["data"][0][0]["metadata"]
    assert name["status"] == "ok"
    assert name["sources"][0]["kind"] == "map"
    assert "ODbL" in name["sources"][0]["license"]
    assert name["sources"][0]["featureId"].startswith("osm:")
    task = await make_rows(client, dataset, 5)
    assert (task["status"], task["results"]["rowsCreated"]) == ("completed", 0)
    assert task["progress"]["total"] == 0


async def test_deleted_cells_are_brought_back_by_feature_id_and_vanished_places_are_told(
    client: httpx2.AsyncClient,
) -> None:
    columns: list[Json] = [{"name": "osm id"}, {"name": "name"}, {"name": "website"}]
    rows: list[Json] = [
        {"osm id": "osm:node/317766538"},
        {"osm id": "osm:node/1", "name": "Long gone"},
    ]
    dataset = await make_map(client, {"boundary": CENTRE}, columns, rows)
    chosen = [column_id(dataset, name) for name in ("name", "website")]
    task = await start_bulk(client, dataset, columnIds=chosen)
    ended = await end_of(client, task)
    assert ended["status"] == "completed"
    grid = await read_grid(client, dataset)
    assert read_values(grid)[0]["website"] == "https://robertscoffee.com/"
    gone = grid["data"][1][2]
    assert (gone["value"], gone["metadata"]["error"]["code"]) == (None, "GONE")
    assert ended["results"]["cellsSkipped"] == 2


async def test_rows_are_known_by_name_and_place_or_by_their_address(
    client: httpx2.AsyncClient,
) -> None:
    columns: list[Json] = [
        {"name": "name"},
        {"name": "address"},
        {"name": "lat", "dataType": "number"},
        {"name": "lon", "dataType": "number"},
        {"name": "city"},
    ]
    rows: list[Json] = [
        {"name": "Robert's Coffee", "lat": 60.1711, "lon": 24.9411},
        {"address": "Yliopistonkadu 10, Helsinki"},
        {"lat": 60.16971, "lon": 24.94601},
        {"address": "Nowhere Street 10, Paris"},
    ]
    dataset = await make_map(client, {}, columns, rows)
    await end_of(client, await start_bulk(client, dataset))
    grid = await read_grid(client, dataset)
    named, addressed, placed, unknown = read_values(grid)
    assert named["city"] == "Helsinki"
    assert grid["data"][0][4]["metadata"]["confidenceFactors"]["method"] == "nameAndPosition"
    assert (addressed["lat"], addressed["lon"]) == (60.169697, 24.946)
    assert addressed["name"] is None
    assert placed["address"] == "Yliopistonkatu 10, Helsinki"
    assert unknown["lat"] is None
    assert grid["data"][3][2]["metadata"]["error"]["code"] == "NOT_CONFIDENT"


async def test_a_user_s_own_table_is_a_source(client: httpx2.AsyncClient) -> None:
    lines = ["id,name,type,lat,lon,phone"]
    lines += [
        f"p{n},Shop {n},{'Bakery' if n % 2 else 'Bank'},48.{800 + n},2.35," for n in range(50)
    ]
    lines += [
        "p98,West,Bank,48.5,2.25,",
        "p99,Far away,Bakery,10.5,10.5,+33 1 23 45 67 89",
        "p100,Nowhere,Bakery,,,",
    ]
    source = await upload(client, "\n".join(lines), "paris.csv")
    config: Json = {
        "boundary": {"bbox": [2.3, 48.8, 2.4, 48.82]},
        "categories": ["bakeries"],
        "source": f"datasource:{source['datasourceId']}",
    }
    dataset = await make_map(client, config, [{"name": "name"}, {"name": "feature id"}])
    task = await make_rows(client, dataset, 100)
    assert task["results"]["coverage"] == "full"
    grid = await read_grid(client, dataset)
    assert [place["name"] for place in read_values(grid)] == [f"Shop {n}" for n in range(1, 21, 2)]
    told = grid["data"][0][0]["metadata"]["sources"][0]
    assert (told["datasourceId"], told["fileName"]) == (source["datasourceId"], "paris.csv")
    assert told["license"]
    task = await make_rows(client, dataset, 100)
    assert task["results"]["rowsCreated"] == 0


async def test_outside_all_coverage_a_task_says_none_and_what_to_do(
    client: httpx2.AsyncClient,
) -> None:
    dataset = await make_map(client, {"boundary": {"bbox": [2.2, 48.8, 2.4, 48.9]}})
    task = await make_rows(client, dataset, 5)
    assert task["status"] == "completed"
    assert task["results"]["coverage"] == "none"
    assert "data source" in task["results"]["message"]
    assert task["results"]["rowsCreated"] == 0


async def test_made_places_can_be_taken_back_and_made_again(client: httpx2.AsyncClient) -> None:
    dataset = await make_map(client, {"boundary": CENTRE, "categories": ["bank"]})
    task = await make_rows(client, dataset, 3)
    path = f"/datasets/{dataset['datasetId']}/tasks/{task['taskId']}/revert"
    assert (await ask(client, "POST", path))["rowsDeleted"] == 3
    assert (await make_rows(client, dataset, 3))["results"]["rowsCreated"] == 3


async def test_a_map_is_exported_as_geojson(client: httpx2.AsyncClient) -> None:
    columns: list[Json] = [{"name": "name"}, {"name": "location", "dataType": "location"}]
    dataset = await make_map(client, {"boundary": CENTRE, "categories": ["cafe"]}, columns)
    await make_rows(client, dataset, 5)
    path = f"/datasets/{dataset['datasetId']}"
    await ask(client, "POST", f"{path}/rows", json={"rows": [{"name": "No place"}]})
    link = await ask(client, "POST", f"{path}/export", json={"format": "geojson"})
    assert link["fileName"].endswith(".geojson")
    response = await client.get(link["downloadUrl"])
    assert response.headers["content-type"].startswith("application/geo+json")
    found = response.json()
    assert found["type"] == "FeatureCollection"
    assert len(found["features"]) == 6
    first, last = found["features"][0], found["features"][-1]
    assert first["geometry"]["type"] == "Point"
    assert abs(first["geometry"]["coordinates"][1] - 60.17) < 0.0028
    assert first["properties"]["name"]
    assert last["geometry"] is None


BAD: list[tuple[Any, str]] = [
    (
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
        "config.boundary.coordinates",
    ),
    (
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]},
        "config.boundary.coordinates.0.2",
    ),
    ({"bbox": [60, 100, 61, 101]}, "config.boundary.bbox"),
    ({"adminArea": "Atlantis of old"}, "config.boundary.adminArea"),
]


@pytest.mark.parametrize(("boundary", "field"), BAD)
async def test_a_bad_boundary_is_refused_when_it_is_said(
    client: httpx2.AsyncClient, boundary: Json, field: str
) -> None:
    body = {"type": "map", "name": "places", "config": {"boundary": boundary}}
    details = await refuse(client, "POST", "/datasets", 422, "VALIDATION_ERROR", json=body)
    assert details["fields"][0]["field"] == field
    dataset = await make_map(client, {"boundary": CENTRE})
    path = f"/datasets/{dataset['datasetId']}"
    change = {"config": {"boundary": boundary}}
    details = await refuse(client, "PATCH", path, 422, "VALIDATION_ERROR", json=change)
    assert details["fields"][0]["field"] == field


async def test_what_a_map_lacks_is_said(client: httpx2.AsyncClient) -> None:
    config = {"boundary": CENTRE, "source": "datasource:01890000-0000-7000-8000-0000000000aa"}
    body = {"type": "map", "name": "places", "config": config}
    await refuse(client, "POST", "/datasets", 404, "DATASOURCE_NOT_FOUND", json=body)
    for config, columns in (({}, COLUMNS), ({"boundary": CENTRE}, [])):
        dataset = await make_map(client, config, columns)
        path = f"/datasets/{dataset['datasetId']}/tasks/new-rows"
        body = {"rowCount": 5}
        await refuse(client, "POST", path, 422, "INVALID_TASK_FOR_DATASET", json=body)
