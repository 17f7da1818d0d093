-- create_files
-- What runs made; the blob of the same id lies in the blob store. Times are microseconds since 1970.
CREATE TABLE IF NOT EXISTS files (
    id           TEXT PRIMARY KEY,
    tenant       TEXT NOT NULL,
    filename     TEXT NOT NULL,
    path         TEXT NOT NULL,
    mime_type    TEXT NOT NULL,
    size_bytes   BIGINT NOT NULL,
    container_id TEXT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

-- index_files_by_expiry
-- The sweeper asks for what has expired, every minute.
CREATE INDEX IF NOT EXISTS files_by_expiry ON files (expires_at);

-- add_file
-- Keep a new record.
INSERT INTO files (id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at)
VALUES (:id, :tenant, :filename, :path, :mime_type, :size_bytes, :container_id, :created_at, :expires_at);

-- find_file
-- One record of one tenant.
SELECT id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at
FROM files
WHERE id = :id AND tenant = :tenant;

-- remove_file
-- Forget one record of one tenant.
DELETE FROM files
WHERE id = :id AND tenant = :tenant;

-- expired_files
-- Records past their time, of every tenant, the oldest first.
SELECT id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at
FROM files
WHERE expires_at <= :now
ORDER BY expires_at
LIMIT 1000;

-- all_file_ids
-- Of every tenant, to find blobs without a record.
SELECT id
FROM files;
