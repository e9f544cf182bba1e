"""The table of a million rows."""

import random
from pathlib import Path

ROWS = 1_000_000
NAMES = "number,company,city,founded,employees,revenue,rating,active,sector,email,code,note"
MIB = 2**20


def write_table(path: Path, rows: int = ROWS) -> None:
    """12 columns of seven types, a tenth of the notes quoted, just under 100 MiB."""
    draw = random.Random(7)
    cities = ["Aarhus", "Lyon", "Graz", "Köln", "Porto", "Ghent", "Turku", "Łódź"]
    sectors = ["retail", "energy", "health", "mining", "travel"]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(NAMES + "\n")
        for number in range(1, rows + 1):
            word = f"{draw.getrandbits(40):010x}"
            note = f'"{word}, ""{number % 97}"""' if number % 10 == 0 else word
            file.write(
                f"{number},Firm {word[:6]},{draw.choice(cities)},19{draw.randrange(10, 99)}-03-1"
                f"{number % 10},{draw.randrange(9000)},{draw.randrange(10**6)}.{number % 9 + 1},"
                f"{draw.randrange(50) / 10},{'true' if number % 3 else 'false'},"
                f"{draw.choice(sectors)},a{number}@ex.org,0{draw.randrange(10**5):05},{note}\n"
            )
    assert path.stat().st_size < 100 * MIB, path.stat().st_size
