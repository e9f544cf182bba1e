-- What a write changed: the cells of a physical column, or (NULL) which rows there are. The code before
-- this one folds every mark into grids.version, which makes versions grow faster and never shrink.
ALTER TABLE grid_writes ADD COLUMN physical integer CHECK (physical > 0);
-- Folded marks of columns; those of rows are in grids.version.
CREATE TABLE grid_column_writes (
    grid_no bigint NOT NULL REFERENCES grids ON DELETE CASCADE,
    physical integer NOT NULL CHECK (physical > 0),
    writes bigint NOT NULL CHECK (writes > 0),
    PRIMARY KEY (grid_no, physical)
);
