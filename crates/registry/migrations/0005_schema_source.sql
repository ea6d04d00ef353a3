-- Where the schemas of this database come from: 'external' if they are copies of another registry's, with its ids. One row
-- or, as long as nothing was decided, none: built in.

CREATE TABLE schema_source (
    only_row INTEGER PRIMARY KEY NOT NULL CHECK (only_row = 1),
    source TEXT NOT NULL
) STRICT;
