-- Ids are 16 bytes, times Unix milliseconds, hashes SHA-256. Rows are never removed: deleted_at makes a tombstone,
-- so that an id is never given twice.

CREATE TABLE tenants (
    tenant_id BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    limits TEXT NOT NULL,
    -- Live devices; kept by every transaction that adds or removes one.
    devices INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX tenants_by_name ON tenants (name) WHERE deleted_at IS NULL;

CREATE TABLE api_keys (
    key_id BLOB PRIMARY KEY NOT NULL,
    tenant_id BLOB NOT NULL REFERENCES tenants (tenant_id),
    name TEXT NOT NULL,
    rights TEXT NOT NULL,
    -- NULL once deleted.
    token_hash BLOB UNIQUE,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, key_id) WHERE deleted_at IS NULL;

CREATE TABLE classes (
    tenant_id BLOB NOT NULL REFERENCES tenants (tenant_id),
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (tenant_id, name)
) STRICT;

CREATE TABLE devices (
    device_id BLOB PRIMARY KEY NOT NULL,
    tenant_id BLOB NOT NULL REFERENCES tenants (tenant_id),
    device_class TEXT NOT NULL,
    schema_id BLOB,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    -- NULL once deleted.
    token_hash BLOB,
    -- The token before the last rotation, until its overlap ends.
    previous_hash BLOB,
    previous_until INTEGER,
    registered_at INTEGER NOT NULL,
    last_seen_at INTEGER,
    deleted_at INTEGER,
    FOREIGN KEY (tenant_id, device_class) REFERENCES classes (tenant_id, name)
) STRICT;
CREATE INDEX devices_by_tenant ON devices (tenant_id, device_id) WHERE deleted_at IS NULL;
CREATE INDEX devices_by_class ON devices (tenant_id, device_class, device_id) WHERE deleted_at IS NULL;
CREATE INDEX devices_by_status ON devices (tenant_id, status, device_id) WHERE deleted_at IS NULL;
CREATE INDEX devices_by_overlap ON devices (previous_until) WHERE previous_until IS NOT NULL;
