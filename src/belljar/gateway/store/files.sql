-- create_files
-- What runs made and clients sent; the blob of the same id lies in the blob store. Times are microseconds since 1970.
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

-- column_files.has_content
-- 0 from when the file has expired and its blob is gone, until the record goes too.
ALTER TABLE files ADD COLUMN has_content BIGINT NOT NULL DEFAULT 1;

-- index_files_by_expiry
-- The sweeper asks for what has expired, every minute.
CREATE INDEX IF NOT EXISTS files_by_expiry ON files (expires_at);

-- index_files_by_tenant
-- Lists go through a tenant's files by their ids.
CREATE INDEX IF NOT EXISTS files_by_tenant ON files (tenant, id);

-- index_files_by_size
-- What a tenant has stored is added up from this index alone.
CREATE INDEX IF NOT EXISTS files_by_size ON files (tenant, expires_at, size_bytes);

-- add_file
-- Keep a new record, unless the tenant's files would then have more than :most_bytes, or be more than :most_files.
INSERT INTO files (id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at)
SELECT :id, :tenant, :filename, :path, :mime_type, :size_bytes, :container_id, :created_at, :expires_at
FROM (
    SELECT COUNT(*) AS number, COALESCE(SUM(size_bytes), 0) AS size
    FROM files
    WHERE tenant = :tenant AND expires_at > :created_at
) AS there
WHERE there.size + :size_bytes <= :most_bytes AND there.number < :most_files;

-- stored_bytes
-- Of all files of a tenant that have not expired.
SELECT COALESCE(SUM(size_bytes), 0)
FROM files
WHERE tenant = :tenant AND expires_at > :now;

-- find_file
-- One record of one tenant.
SELECT id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at
FROM files
WHERE id = :id AND tenant = :tenant;

-- older_files
-- Records of one tenant with ids before :than, the newest first; of one container where one is given.
SELECT id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at
FROM files
WHERE tenant = :tenant AND id < :than AND (:container_id IS NULL OR container_id = :container_id)
ORDER BY id DESC
LIMIT :most;

-- newer_files
-- Records of one tenant with ids after :than, the oldest first; of one container where one is given.
SELECT id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at
FROM files
WHERE tenant = :tenant AND id > :than AND (:container_id IS NULL OR container_id = :container_id)
ORDER BY id
LIMIT :most;

-- remove_file
-- Forget one record of one tenant.
DELETE FROM files
WHERE id = :id AND tenant = :tenant;

-- expired_files
-- Records past their time whose blobs are still there, of every tenant, the oldest first.
SELECT id, tenant, filename, path, mime_type, size_bytes, container_id, created_at, expires_at
FROM files
WHERE expires_at <= :now AND has_content = 1
ORDER BY expires_at
LIMIT 1000;

-- mark_emptied
-- The blob goes, the record stays for a while.
UPDATE files
SET has_content = 0
WHERE id = :id;

-- remove_emptied_files
-- Forget, of every tenant, what has expired long ago.
DELETE FROM files
WHERE expires_at <= :expired_before AND has_content = 0;

-- all_file_ids
-- Of every tenant, to find blobs without a record.
SELECT id
FROM files
WHERE has_content = 1;
