"""The way into the room: datasets themselves, and what tasks and endpoints use of the rest."""

from gridmill.datasets.cells import (
    edit_cell,
    get_cell,
    list_batch_writes,
    list_history,
    resolve_cells,
    resolve_columns,
    resolve_task,
    revert_task,
    review_cells,
    write_cells,
)
from gridmill.datasets.columns import (
    add_column,
    delete_column,
    get_column,
    reset_task_type,
    update_column,
)
from gridmill.datasets.exporting import create_export, open_export
from gridmill.datasets.generating import find_taken, read_made, read_real, read_source_rows
from gridmill.datasets.lifecycle import (
    NewDataset,
    create_dataset,
    delete_dataset,
    find_any_dataset,
    get_dataset,
    list_columns,
    list_datasets,
    update_dataset,
)
from gridmill.datasets.locking import (
    hold_for_task,
    lock_for_change,
    lock_for_edit,
    lock_for_task,
    unlock_after_task,
)
from gridmill.datasets.planning import plan_rows, read_filled, read_verdicts
from gridmill.datasets.rows import (
    check_quota,
    delete_row,
    delete_rows,
    find_missing_rows,
    insert_rows,
    read_rows,
    resolve_rows,
)
from gridmill.datasets.taking import count_new_records, peek_new_records, take_new_records
from gridmill.datasets.task_writes import list_failed_cells, summarise_task
from gridmill.datasets.views import DataPage, DataView, read_data

__all__ = [
    "DataPage",
    "DataView",
    "NewDataset",
    "add_column",
    "check_quota",
    "count_new_records",
    "create_dataset",
    "create_export",
    "delete_column",
    "delete_dataset",
    "delete_row",
    "delete_rows",
    "edit_cell",
    "find_any_dataset",
    "find_missing_rows",
    "find_taken",
    "get_cell",
    "get_column",
    "get_dataset",
    "hold_for_task",
    "insert_rows",
    "list_batch_writes",
    "list_columns",
    "list_datasets",
    "list_failed_cells",
    "list_history",
    "lock_for_change",
    "lock_for_edit",
    "lock_for_task",
    "open_export",
    "peek_new_records",
    "plan_rows",
    "read_data",
    "read_filled",
    "read_made",
    "read_real",
    "read_rows",
    "read_source_rows",
    "read_verdicts",
    "reset_task_type",
    "resolve_cells",
    "resolve_columns",
    "resolve_rows",
    "resolve_task",
    "revert_task",
    "review_cells",
    "summarise_task",
    "take_new_records",
    "unlock_after_task",
    "update_column",
    "update_dataset",
    "write_cells",
]
