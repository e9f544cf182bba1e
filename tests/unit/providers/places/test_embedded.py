"""The embedded source: real places, their attributes, addresses, areas and kinds."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmill.kit.errors import ValidationFailed
from gridmill.providers.places.areas import find_area
from gridmill.providers.places.attributes import ATTRIBUTES, read_attribute
from gridmill.providers.places.boundaries import read_boundary
from gridmill.providers.places.categories import Category, read_category
from gridmill.providers.places.conflation import merge_places
from gridmill.providers.places.embedded import EmbeddedSource
from gridmill.providers.places.geocode import count_edits
from gridmill.providers.places.model import Place, Provenance
from gridmill.providers.places.query import read_query

pytestmark = pytest.mark.unit

CENTRE = {"center": {"lat": 60.17, "lon": 24.943}, "radiusMeters": 300}


def search(boundary: object, *words: str) -> list[Place]:
    return list(found(boundary, *words).places)


def found(boundary: object, *words: str):  # noqa: ANN201
    categories = [kind for word in words if isinstance(kind := read_category(word), Category)]
    return EmbeddedSource().search(read_boundary(boundary, find_area=find_area), categories)


def make_place(feature: str, lat: float, lon: float, **tags: str) -> Place:
    named = {key.replace("__", ":"): value for key, value in tags.items()}
    return Place(feature, lat, lon, named, (Provenance(feature, "ODbL"),), "FI")


def test_cafes_of_central_helsinki_come_with_licence_and_day() -> None:
    cafes = search(CENTRE, "cafe")
    assert len(cafes) > 30
    robert = next(place for place in cafes if place.name == "Robert's Coffee")
    assert read_attribute(robert, "category") == "Coffeehouse"
    assert read_attribute(robert, "website") == "https://robertscoffee.com/"
    told = robert.sources[0].to_wire()
    assert told["featureId"] == robert.feature_id
    assert "ODbL" in told["license"]
    assert told["url"].endswith("node/317766538")
    assert told["quote"] == "as of 2019-04-21"


@pytest.mark.parametrize("word", ["Cafés", "kahvila", "café", "cafes", "amenity=cafe"])
def test_a_kind_of_place_is_known_in_many_languages(word: str) -> None:
    kind = read_category(word)
    assert isinstance(kind, Category)
    assert kind.fits({"amenity": "cafe"})


def test_an_english_word_means_what_it_means_in_english() -> None:
    shop, pharmacy = read_category("shops"), read_category("pharmacy")
    assert isinstance(shop, Category)
    assert shop.fits({"shop": "bakery"})
    assert isinstance(pharmacy, Category)
    assert not pharmacy.fits({"shop": "chemist"})


def test_an_unknown_kind_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ValidationFailed) as caught:
        read_query({"boundary": CENTRE, "categories": ["cafe", "restorant"]})
    assert caught.value.fields[0].field == "config.categories.1"
    assert "Restaurant" in caught.value.fields[0].message


def test_outside_its_coverage_the_source_says_so_and_how_to_load_a_file() -> None:
    answer = found({"bbox": [2.2, 48.8, 2.4, 48.9]}, "cafe")
    assert (answer.coverage, len(answer.places)) == ("none", 0)
    assert "datasource:ID" in (answer.message or "")


def test_an_area_that_is_known_in_part_says_which_part() -> None:
    answer = found({"bbox": [24.93, 60.164, 24.95, 60.18]}, "cafe")
    assert answer.coverage == "partial"
    assert 0.5 < answer.covered < 0.8
    assert found({"bbox": [24.937, 60.166, 24.95, 60.178]}).coverage == "full"


def test_cities_are_known_all_over_the_world() -> None:
    names = {place.name for place in search({"adminArea": "Iceland"}, "city", "town")}
    assert {"Reykjavík", "Akureyri", "Kópavogur"} <= names


@pytest.mark.parametrize(
    ("name", "country", "said"),
    [
        ("Limburg", None, "Belgium, Netherlands"),
        ("Helsinki", None, '"lat": 60.16952'),
        ("Nowhere at all", None, "No area called"),
        ("Uusimaa", "Narnia", "No country"),
    ],
)
def test_an_area_that_is_not_known_is_explained(name: str, country: str | None, said: str) -> None:
    answer = find_area(name, country)
    assert isinstance(answer, str)
    assert said in answer


@pytest.mark.parametrize(
    ("name", "country"), [("Limburg", "NL"), ("Georgia", None), ("Georgia", "US"), ("Monaco", None)]
)
def test_an_area_is_found_by_name_and_country(name: str, country: str | None) -> None:
    areas = find_area(name, country)
    assert not isinstance(areas, str)
    assert all(area.is_valid and area.area > 0 for area in areas)


def test_an_address_is_found_with_a_typing_error_and_back() -> None:
    source = EmbeddedSource()
    exact = source.geocode("Yliopistonkatu 10, 00100 Helsinki")
    assert exact is not None
    assert exact.is_exact
    mistyped = source.geocode("Yliopsitonkatu 10")
    assert mistyped is not None
    assert not mistyped.is_exact
    assert (mistyped.lat, mistyped.lon) == (exact.lat, exact.lon)
    back = source.reverse(exact.lat, exact.lon)
    assert back is not None
    assert back.address["addr:street"] == "Yliopistonkatu"


@pytest.mark.parametrize("address", ["Yliopistonkatu 9999", "Kadunnimi 1", "", "12", "Monaco"])
def test_an_address_that_is_not_known_has_no_position(address: str) -> None:
    assert EmbeddedSource().geocode(address) is None


@pytest.mark.parametrize(
    ("tags", "attribute", "value"),
    [
        ({"phone": "09 1234567"}, "phone", "+35891234567"),
        ({"phone": "+377 93 15 26 00; +377 1"}, "phone", "+37793152600"),
        ({"phone": "call us"}, "phone", None),
        ({"website": "example.org"}, "website", "https://example.org"),
        ({"website": "none yet"}, "website", None),
        ({"opening_hours": "Mo-Fr 08:00-18:00"}, "opening_hours", "Mo-Fr 08:00-18:00"),
        ({"opening_hours": "whenever"}, "opening_hours", None),
        ({"addr__street": "Katu", "addr__housenumber": "1"}, "address", "Katu 1"),
        ({"addr__city": "Helsinki"}, "address", None),
        ({"amenity": "bank"}, "category", "Bank"),
        ({"cuisine": "pizza"}, "cuisine", "pizza"),
        ({}, "latitude", "60.1"),
    ],
)
def test_attributes_have_one_form(tags: dict[str, str], attribute: str, value: str | None) -> None:
    assert read_attribute(make_place("osm:node/1", 60.1, 24.9, **tags), attribute) == value


def test_a_week_of_opening_hours_runs_past_midnight() -> None:
    place = make_place("a", 60, 25, opening_hours="Mo-Th 11:00-23:00; Fr,Sa 18:00-02:00; PH off")
    week = msgspec.json.decode(read_attribute(place, "opening_hours_week") or "null")
    assert week["Mo"] == [["11:00", "23:00"]]
    assert week["Fr"] == [["18:00", "02:00"]]
    assert week["Su"] == []
    dated = make_place("a", 60, 25, opening_hours="Jun-Aug 08:00-18:00")
    assert read_attribute(dated, "opening_hours_week") is None


def test_every_place_has_readable_attributes() -> None:
    for place in EmbeddedSource().list_places()[::20]:
        for attribute in ATTRIBUTES:
            value = read_attribute(place, attribute)
            assert value is None or value.strip()


def test_records_of_one_place_are_merged_and_keep_their_sources() -> None:
    node = make_place("osm:node/1", 60.17, 24.94, name="Kahvila Kukko", amenity="cafe")
    way = make_place("osm:way/2", 60.1701, 24.94, name="Kukko kahvila", amenity="cafe", phone="1")
    merged = merge_places([node, way, node])
    assert [source.feature_id for source in merged[0].sources] == ["osm:node/1", "osm:way/2"]
    assert merged[0].tags["phone"] == "1"
    assert len(merged) == 1


@pytest.mark.parametrize(
    ("lat", "tags"),
    [
        (60.18, {"name": "Kukko", "amenity": "cafe"}),
        (60.1701, {"name": "Kukko", "amenity": "bank"}),
        (60.1701, {"name": "Kukko", "shop": "books"}),
        (60.1701, {"name": "Other", "amenity": "cafe"}),
        (60.1701, {"amenity": "cafe"}),
    ],
)
def test_other_places_stay_apart(lat: float, tags: dict[str, str]) -> None:
    first = make_place("a", 60.17, 24.94, name="Kukko", amenity="cafe")
    assert len(merge_places([first, make_place("b", lat, 24.94, **tags)])) == 2


@settings(max_examples=60)
@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_edits_are_counted_alike_in_both_directions(one: str, other: str) -> None:
    count = count_edits(one, other, 9)
    assert count == count_edits(other, one, 9)
    assert (count == 0) == (one == other)
    assert abs(len(one) - len(other)) <= count <= max(len(one), len(other))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"boundary": CENTRE, "source": "overpass"}, "config.source"),
        ({"boundary": CENTRE, "source": "datasource:nothing"}, "config.source"),
        ({"boundary": CENTRE, "categories": [7]}, "config.categories.0"),
        ({"boundary": CENTRE, "query": 7}, "config.query"),
        ({"boundary": 7}, "config.boundary"),
    ],
)
def test_a_config_is_refused_with_the_place_of_its_fault(
    config: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        read_query(config)
    assert caught.value.fields[0].field == field
