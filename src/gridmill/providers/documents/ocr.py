"""Words of a picture by RapidOCR (PP-OCR models in its wheel), on one thread of this process."""

import logging
from functools import cache
from typing import Any

import numpy as np

from gridmill.providers.documents.placing import Placed

MIN_SCORE = 0.5
"""How sure the recognition of a line has to be; below, letters are mostly wrong."""


@cache
def _load() -> Any:  # noqa: ANN401 (rapidocr's engine has no types)
    """The engine of this process; it and its models take some 1.5 s and 250 MiB."""
    import cv2
    from rapidocr import RapidOCR

    # Threads of busy cores wait for one another, and their stacks count as memory.
    cv2.setNumThreads(1)
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.text_score": MIN_SCORE,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def read_words(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> list[Placed]:
    """The words in a picture (rows × columns × blue, green, red), boxes in pixels."""
    found = _load()(picture, return_word_box=True)
    lines: tuple[Any, ...] = found.word_results or ()
    words: list[Placed] = []
    for line in lines:
        for text, _, corners in line:
            if not text.strip() or corners is None:
                continue
            across = [float(corner[0]) for corner in corners]
            down = [float(corner[1]) for corner in corners]
            words.append(Placed(text.strip(), min(across), min(down), max(across), max(down)))
    return words
