-- Schemas. A text (with what it refers to) has one id within its tenant, whatever subjects it is registered under;
-- a version is a place of a text in a subject. Soft-deleted versions keep their rows; a permanent deletion removes
-- them, and texts without any version go with them. An id is never given twice.

CREATE TABLE schema_texts (
    tenant_id BLOB NOT NULL REFERENCES tenants (tenant_id),
    id INTEGER NOT NULL,
    -- SHA-256 over type, canonical form, references, metadata and rule set: what makes two schemas the same.
    identity BLOB NOT NULL,
    guid BLOB NOT NULL,
    type TEXT NOT NULL,
    text TEXT NOT NULL,
    refs TEXT NOT NULL,
    metadata TEXT,
    rule_set TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX schema_texts_by_guid ON schema_texts (tenant_id, guid);

-- A major of a subject: what devices and classes name.
CREATE TABLE schema_majors (
    schema_id BLOB PRIMARY KEY NOT NULL,
    tenant_id BLOB NOT NULL REFERENCES tenants (tenant_id),
    subject TEXT NOT NULL,
    major INTEGER NOT NULL,
    UNIQUE (tenant_id, subject, major)
) STRICT, WITHOUT ROWID;

CREATE TABLE schema_versions (
    tenant_id BLOB NOT NULL,
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    major INTEGER NOT NULL,
    id INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- Soft deletion.
    deleted_at INTEGER,
    PRIMARY KEY (tenant_id, subject, version),
    FOREIGN KEY (tenant_id, id) REFERENCES schema_texts (tenant_id, id),
    FOREIGN KEY (tenant_id, subject, major) REFERENCES schema_majors (tenant_id, subject, major)
) STRICT, WITHOUT ROWID;
CREATE INDEX schema_versions_by_id ON schema_versions (tenant_id, id);

-- Which text refers to which version.
CREATE TABLE schema_references (
    tenant_id BLOB NOT NULL,
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, subject, version, id),
    FOREIGN KEY (tenant_id, id) REFERENCES schema_texts (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX schema_references_by_id ON schema_references (tenant_id, id);

-- What is decided about a subject; the subject '' is the tenant's own, which holds where a subject says nothing.
CREATE TABLE schema_settings (
    tenant_id BLOB NOT NULL REFERENCES tenants (tenant_id),
    subject TEXT NOT NULL,
    config TEXT,
    mode TEXT,
    PRIMARY KEY (tenant_id, subject)
) STRICT, WITHOUT ROWID;

-- The greatest id given.
CREATE TABLE schema_ids (
    tenant_id BLOB PRIMARY KEY NOT NULL REFERENCES tenants (tenant_id),
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX devices_by_schema ON devices (tenant_id, schema_id, device_id)
    WHERE schema_id IS NOT NULL AND deleted_at IS NULL;
