-- create_keys
-- API keys, by the SHA-256 of each. One that is revoked stays: where keys were made once, requests need one.
CREATE TABLE IF NOT EXISTS keys (
    id                  TEXT PRIMARY KEY,
    name                TEXT NOT NULL,
    tenant              TEXT NOT NULL,
    digest              TEXT NOT NULL UNIQUE,
    requests_per_minute BIGINT,
    executions          BIGINT,
    containers          BIGINT,
    stored_bytes        BIGINT,
    created_at          BIGINT NOT NULL,
    revoked_at          BIGINT
);

-- column_keys.budget
-- Millionths of the currency that it may spend in a period.
ALTER TABLE keys ADD COLUMN budget BIGINT;

-- column_keys.budget_period
-- 'month' or 'total'.
ALTER TABLE keys ADD COLUMN budget_period TEXT NOT NULL DEFAULT 'month';

-- index_keys_by_name
-- No two keys that are good have one name.
CREATE UNIQUE INDEX IF NOT EXISTS keys_by_name ON keys (name) WHERE revoked_at IS NULL;

-- add_key
-- Keep a new key; nothing where another that is good has its name.
INSERT INTO keys (
    id, name, tenant, digest, requests_per_minute, executions, containers, stored_bytes, created_at, revoked_at,
    budget, budget_period
)
VALUES (
    :id, :name, :tenant, :digest, :requests_per_minute, :executions, :containers, :stored_bytes, :created_at, :revoked_at,
    :budget, :budget_period
)
ON CONFLICT DO NOTHING;

-- all_keys
-- Revoked ones too, the oldest first.
SELECT id, name, tenant, digest, requests_per_minute, executions, containers, stored_bytes, created_at, revoked_at,
    budget, budget_period
FROM keys
ORDER BY id;

-- revoke_key
-- Whoever shows it is refused from now on.
UPDATE keys
SET revoked_at = :now
WHERE (id = :name OR name = :name) AND revoked_at IS NULL;
