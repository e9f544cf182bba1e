"""The shared part of a batch's requests: which values are sent, and the frame around them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gridmill.operations.enrichment import prompts
from gridmill.operations.enrichment.knowledge import fence_passages
from gridmill.operations.enrichment.references import list_read_columns
from gridmill.operations.enrichment.replies import ReplyReader
from gridmill.operations.model import Batch, ColumnSpec, ExampleRow, Passage
from gridmill.providers.llm.model import Frame


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """Everything that requests for the same columns share.

    `sent` names the values that go into the row's data, `question` the lines below the data.
    """

    columns: tuple[ColumnSpec, ...]
    sent: tuple[str, ...]
    frame: Frame
    packed_frame: Frame | None
    reader: ReplyReader
    question: str

    def pick(self, values: Mapping[str, str | None]) -> dict[str, str]:
        """The non-empty values that the prompt sends, in the columns' order."""
        return {
            name: prompts.cut(value)
            for name in self.sent
            if (value := values.get(name)) is not None
        }

    def write_prompt(self, data: Mapping[str, str], passages: Sequence[Passage] = ()) -> str:
        """The user's part of the request for one row, with what it is to be answered from."""
        known = f"{fence_passages(passages)}\n" if passages else ""
        return f"{prompts.fence(data)}\n{known}{self.question}"

    def write_packed_prompt(self, rows: Sequence[Mapping[str, str]]) -> str:
        """The user's part of a request for several rows, each under its index."""
        document = [{"row": index, "values": data} for index, data in enumerate(rows)]
        return (
            f"{prompts.fence(document)}\n{self.question}\n"
            f'There are {len(rows)} rows; answer with one item in "rows" for each, under its '
            '"row" number, as if it had been asked alone.'
        )


class FrameBook:
    """Makes the frames of one batch, each once.

    `rows_per_request` over 1 makes the frames for packed requests too.
    """

    def __init__(self, batch: Batch, rows_per_request: int = 1) -> None:
        self._batch = batch
        self._rows_per_request = rows_per_request
        self._frames: dict[tuple[object, ...], PreparedFrame] = {}
        self._example_rows = {row.row_no for row in batch.examples}

    def get(
        self, columns: tuple[ColumnSpec, ...], hidden: frozenset[str], row_no: int | None
    ) -> PreparedFrame:
        """The frame that asks for `columns`.

        `hidden` names columns that are never sent (those still to be filled). A row that is one
        of the examples (`row_no`) gets a frame without itself: its old value is not shown to it.
        """
        own = row_no if row_no in self._example_rows else None
        key = (tuple(column.number for column in columns), hidden, own)
        prepared = self._frames.get(key)
        if prepared is None:
            prepared = self._frames[key] = self._build(columns, hidden, own)
        return prepared

    def _build(
        self, columns: tuple[ColumnSpec, ...], hidden: frozenset[str], own: int | None
    ) -> PreparedFrame:
        batch = self._batch
        sent = self._choose_sent(columns, hidden)
        examples = [row for row in self._list_examples(columns) if row.row_no != own]
        system = prompts.write_system(
            (batch.dataset_name, batch.dataset_description), columns, examples, sent
        )
        keys = prompts.name_keys(columns)
        asked = ", ".join(prompts.write_data(keys[column.number]) for column in columns)
        packed = None
        if self._rows_per_request > 1:
            packed = Frame(
                system,
                prompts.build_schema(columns, several_rows=True),
                max_tokens=prompts.bound_tokens(columns, self._rows_per_request),
            )
        return PreparedFrame(
            columns=columns,
            sent=sent,
            frame=Frame(
                system, prompts.build_schema(columns), max_tokens=prompts.bound_tokens(columns)
            ),
            packed_frame=packed,
            reader=ReplyReader(columns),
            question=f"Fill in {asked} for the row above.",
        )

    def _choose_sent(
        self, columns: Sequence[ColumnSpec], hidden: frozenset[str]
    ) -> tuple[str, ...]:
        """Just the referenced columns when every prompt names some, else the whole row.

        Requests never mix the two kinds of prompts (see `plan_questions`).
        What is asked for is never sent, nor is what is still to be filled.
        """
        asked = {column.name for column in columns}
        references = [list_read_columns(column, self._batch.columns) for column in columns]
        names: Iterable[str] = (column.name for column in self._batch.columns)
        if all(references):
            read = {column.name for found in references for column in found}
            return tuple(name for name in names if name in read and name not in asked)
        return tuple(name for name in names if name not in asked and name not in hidden)

    def _list_examples(self, columns: Sequence[ColumnSpec]) -> list[ExampleRow]:
        """On a refresh only what people vouched for teaches: the rest is what is being replaced."""
        if not self._batch.refresh:
            return list(self._batch.examples)
        asked = {column.name for column in columns}
        return [
            replace(row, values={k: v for k, v in row.values.items() if _is_kept(k, row, asked)})
            for row in self._batch.examples
            if row.vouched & asked
        ]


def _is_kept(name: str, row: ExampleRow, asked: set[str]) -> bool:
    return name not in asked or name in row.vouched
