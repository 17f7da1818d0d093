-- create_containers
-- What clients name and come back to; the archive of its files, where there is one, lies in the blob store. Times are microseconds since 1970, limits and given are JSON.
CREATE TABLE IF NOT EXISTS containers (
    id           TEXT PRIMARY KEY,
    tenant       TEXT NOT NULL,
    limits       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    state        TEXT NOT NULL,
    archive      TEXT,
    archived_at  BIGINT,
    given        TEXT NOT NULL
);

-- column_containers.runtime
-- The name of what its code runs in, for life.
ALTER TABLE containers ADD COLUMN runtime TEXT NOT NULL DEFAULT 'default';

-- index_containers_by_expiry
-- The sweeper asks for what has expired, every minute.
CREATE INDEX IF NOT EXISTS containers_by_expiry ON containers (expires_at);

-- save_container
-- Keep a record, in place of one of the same id.
INSERT INTO containers (id, tenant, limits, created_at, last_used_at, expires_at, state, archive, archived_at, given, runtime)
VALUES (:id, :tenant, :limits, :created_at, :last_used_at, :expires_at, :state, :archive, :archived_at, :given, :runtime)
ON CONFLICT (id) DO UPDATE
SET last_used_at = :last_used_at, expires_at = :expires_at, state = :state, archive = :archive,
    archived_at = :archived_at, given = :given;

-- touch_container
-- It was used; one that is gone stays so.
UPDATE containers
SET last_used_at = :last_used_at, expires_at = :expires_at
WHERE id = :id;

-- all_containers
-- Of every tenant, for a server that starts.
SELECT id, tenant, limits, created_at, last_used_at, expires_at, state, archive, archived_at, given, runtime
FROM containers
ORDER BY created_at;

-- expired_containers
-- Records past their time, of every tenant, the oldest first.
SELECT id, tenant, limits, created_at, last_used_at, expires_at, state, archive, archived_at, given, runtime
FROM containers
WHERE expires_at <= :now
ORDER BY expires_at
LIMIT 1000;

-- remove_container
-- Forget one record.
DELETE FROM containers
WHERE id = :id;
