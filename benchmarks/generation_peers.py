"""Run by `benchmarks.generation` with the Python of its temporary environment, never with ours.

    python generation_peers.py tables FOLDER
    python generation_peers.py PEER REAL.csv MADE.csv ROWS SEED
    python generation_peers.py score REAL.csv MADE.csv TYPES

`tables` writes tables that packages carry. A peer fits REAL, writes ROWS rows to MADE and prints
`{"wall", "cpu", "peak"}`: seconds and processor seconds of fitting and drawing, imports apart, and
the largest resident set in bytes. `score` prints SDMetrics' quality and diagnostic scores; TYPES is
JSON, columns to SDMetrics' types.
"""

import importlib
import json
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS = 12_000

Frame = Any
"""A pandas data frame: this environment has pandas, the project has not."""


def load(name: str) -> Any:  # noqa: ANN401 - packages that the project does not install
    return importlib.import_module(name)


def write_tables(folder: Path) -> None:
    diamonds = load("plotnine.data").diamonds.sample(ROWS, random_state=1)
    diamonds.to_csv(folder / "diamonds.csv", index=False)
    cancer = load("sklearn.datasets").load_breast_cancer(as_frame=True)
    names: dict[int, str] = {place: str(name) for place, name in enumerate(cancer.target_names)}
    cancer.frame.assign(target=cancer.frame["target"].map(names)).to_csv(
        folder / "cancer.csv", index=False
    )


def prepare_arfpy(frame: Frame, rows: int, seed: int) -> Callable[[], Frame]:
    arf = load("arfpy.arf")
    load("numpy").random.seed(seed)
    # It takes no missing values: they become a category, or the median.
    filled = frame.copy()
    for name in filled:
        column = filled[name]
        is_number = load("pandas").api.types.is_numeric_dtype(column)
        filled[name] = (
            column.fillna(column.median()) if is_number else column.fillna("?").astype("category")
        )

    def make() -> Frame:
        forest = arf.arf(x=filled, num_trees=30, verbose=False, random_state=seed)
        forest.forde()
        return forest.forge(n=rows).replace("?", None)

    return make


def prepare_synthpop(frame: Frame, rows: int, seed: int) -> Callable[[], Frame]:
    is_number = load("pandas").api.types.is_numeric_dtype
    filled = frame.copy()
    types: dict[str, str] = {}
    for name in filled:
        column = filled[name]
        types[name] = (
            "category" if not is_number(column) else "int" if column.dtype == "int64" else "float"
        )
        if types[name] == "category":
            filled[name] = column.fillna("?").astype("category")

    def make() -> Frame:
        model = load("synthpop").Synthpop(seed=seed)
        model.fit(filled, types)
        return model.generate(rows).astype(object).replace("?", None)

    return make


def prepare_datasynthesizer(frame: Frame, rows: int, seed: int) -> Callable[[], Frame]:
    describer = load("DataSynthesizer.DataDescriber").DataDescriber(category_threshold=60)
    generator = load("DataSynthesizer.DataGenerator").DataGenerator()
    folder = Path(tempfile.mkdtemp())
    frame.to_csv(folder / "real.csv", index=False)

    def make() -> Frame:
        # epsilon 0: no differential privacy, the best it can do
        describer.describe_dataset_in_correlated_attribute_mode(
            dataset_file=str(folder / "real.csv"), epsilon=0, k=2, seed=seed
        )
        describer.save_dataset_description_to_file(str(folder / "description.json"))
        generator.generate_dataset_in_correlated_attribute_mode(
            rows, str(folder / "description.json"), seed=seed
        )
        return generator.synthetic_dataset

    return make


PEERS = {
    "arfpy": prepare_arfpy,
    "py-synthpop": prepare_synthpop,
    "DataSynthesizer": prepare_datasynthesizer,
}


def run_peer(peer: str, real: Path, made: Path, rows: int, seed: int) -> dict[str, float]:
    make = PEERS[peer](load("pandas").read_csv(real), rows, seed)
    start, began = time.perf_counter(), time.process_time()
    result = make()
    cost = {"wall": time.perf_counter() - start, "cpu": time.process_time() - began}
    result.to_csv(made, index=False)
    return cost | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def score(real: Path, made: Path, types: dict[str, str]) -> dict[str, float]:
    pandas, reports = load("pandas"), load("sdmetrics.reports.single_table")
    frames = [pandas.read_csv(path)[list(types)] for path in (real, made)]
    for frame in frames:
        for name, kind in types.items():
            if kind == "categorical":
                frame[name] = frame[name].astype(object)
    metadata = {"columns": {name: {"sdtype": kind} for name, kind in types.items()}}
    quality, diagnostic = reports.QualityReport(), reports.DiagnosticReport()
    quality.generate(*frames, metadata, verbose=False)
    diagnostic.generate(*frames, metadata, verbose=False)
    parts = dict(quality.get_properties().itertuples(index=False))
    return {
        "quality": quality.get_score(),
        "columns": parts["Column Shapes"],
        "pairs": parts["Column Pair Trends"],
        "diagnostic": diagnostic.get_score(),
    }


def main(arguments: list[str]) -> object:
    warnings.simplefilter("ignore")
    if arguments[0] == "tables":
        return write_tables(Path(arguments[1]))
    if arguments[0] == "score":
        return score(Path(arguments[1]), Path(arguments[2]), json.loads(arguments[3]))
    peer, real, made, rows, seed = arguments
    return run_peer(peer, Path(real), Path(made), int(rows), int(seed))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
