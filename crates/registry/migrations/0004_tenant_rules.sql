-- Canonical units and metadata of a tenant, as JSON.

ALTER TABLE tenants ADD COLUMN units TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
