"""Ground floor: ids, clock, pages, errors, values, filter expressions. Imports nothing of Gridmill."""
