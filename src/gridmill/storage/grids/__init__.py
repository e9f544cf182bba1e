"""Grids: the plain tables behind data sources and datasets. May import kit and storage."""

from gridmill.storage.grids.cells import GridWrite, Journal, write_cells
from gridmill.storage.grids.conditions import (
    Condition,
    GridColumn,
    any_empty,
    both,
    has_status,
    is_empty,
)
from gridmill.storage.grids.copying import copy_between, copy_rows, copy_text, insert_rows
from gridmill.storage.grids.csv_out import FORMULA_STARTS, PLAIN_NUMBER, CsvText, read_csv
from gridmill.storage.grids.filtering import compile_filter
from gridmill.storage.grids.json_out import NamedColumn, read_json_lines, writes_json
from gridmill.storage.grids.pages import GridPage, Sort, read_page
from gridmill.storage.grids.positions import measure_box, read_in_boxes
from gridmill.storage.grids.rows import (
    GridRow,
    delete_range,
    delete_rows,
    find_missing_rows,
    read_rows,
)
from gridmill.storage.grids.tables import (
    GridState,
    add_column,
    archive_column,
    column,
    count_rows,
    create_grid,
    drop_column,
    drop_grid,
    fold_marks,
    forget_locks,
    get_state,
    mark_write,
    table,
    undo_on_error,
)

__all__ = [
    "FORMULA_STARTS",
    "PLAIN_NUMBER",
    "Condition",
    "CsvText",
    "GridColumn",
    "GridPage",
    "GridRow",
    "GridState",
    "GridWrite",
    "Journal",
    "NamedColumn",
    "Sort",
    "add_column",
    "any_empty",
    "archive_column",
    "both",
    "column",
    "compile_filter",
    "copy_between",
    "copy_rows",
    "copy_text",
    "count_rows",
    "create_grid",
    "delete_range",
    "delete_rows",
    "drop_column",
    "drop_grid",
    "find_missing_rows",
    "fold_marks",
    "forget_locks",
    "get_state",
    "has_status",
    "insert_rows",
    "is_empty",
    "mark_write",
    "measure_box",
    "read_csv",
    "read_in_boxes",
    "read_json_lines",
    "read_page",
    "read_rows",
    "table",
    "undo_on_error",
    "write_cells",
    "writes_json",
]
