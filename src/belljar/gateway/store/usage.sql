-- create_usage
-- What each request has used. Times are microseconds since 1970, amounts millionths of the currency.
CREATE TABLE IF NOT EXISTS usage (
    request_id             TEXT PRIMARY KEY,
    at                     BIGINT NOT NULL,
    tenant                 TEXT NOT NULL,
    key_id                 TEXT,
    endpoint               TEXT NOT NULL,
    model                  TEXT NOT NULL,
    status                 BIGINT NOT NULL,
    input_tokens           BIGINT NOT NULL,
    output_tokens          BIGINT NOT NULL,
    cache_creation_tokens  BIGINT NOT NULL,
    cache_read_tokens      BIGINT NOT NULL,
    thinking_tokens        BIGINT NOT NULL,
    code_executions        BIGINT NOT NULL,
    bash_executions        BIGINT NOT NULL,
    editor_executions      BIGINT NOT NULL,
    container_microseconds BIGINT NOT NULL,
    images                 BIGINT NOT NULL,
    searches               BIGINT NOT NULL,
    plan                   TEXT,
    currency               TEXT,
    amount                 BIGINT NOT NULL,
    billed_microseconds    BIGINT NOT NULL
);

-- column_usage.is_estimated
-- 1 where tokens were estimated, for the model server had not counted them.
ALTER TABLE usage ADD COLUMN is_estimated BIGINT NOT NULL DEFAULT 0;

-- index_usage_by_time
-- Tables of a time, and the sweeper.
CREATE INDEX IF NOT EXISTS usage_by_time ON usage (at);

-- index_usage_by_tenant
-- A tenant's own, and its container time of a month.
CREATE INDEX IF NOT EXISTS usage_by_tenant ON usage (tenant, at);

-- index_usage_by_key
-- What a key has spent.
CREATE INDEX IF NOT EXISTS usage_by_key ON usage (key_id, at);

-- add_usage
-- Keep what one request has used.
INSERT INTO usage (
    request_id, at, tenant, key_id, endpoint, model, status, input_tokens, output_tokens, cache_creation_tokens,
    cache_read_tokens, thinking_tokens, code_executions, bash_executions, editor_executions, container_microseconds,
    images, searches, plan, currency, amount, billed_microseconds, is_estimated
)
VALUES (
    :request_id, :at, :tenant, :key_id, :endpoint, :model, :status, :input_tokens, :output_tokens,
    :cache_creation_tokens, :cache_read_tokens, :thinking_tokens, :code_executions, :bash_executions,
    :editor_executions, :container_microseconds, :images, :searches, :plan, :currency, :amount, :billed_microseconds,
    :is_estimated
);

-- usage_totals
-- Sums of a time by tenant, model, key or day (as a number since 1970), of one tenant where one is given.
SELECT
    CASE :group_by
        WHEN 'tenant' THEN tenant
        WHEN 'model' THEN model
        WHEN 'key' THEN COALESCE(key_id, '')
        ELSE CAST(at / 86400000000 AS TEXT)
    END AS what,
    currency,
    COUNT(*), SUM(input_tokens), SUM(output_tokens), SUM(cache_creation_tokens), SUM(cache_read_tokens),
    SUM(thinking_tokens), SUM(code_executions), SUM(bash_executions), SUM(editor_executions),
    SUM(container_microseconds), SUM(images), SUM(searches), SUM(amount), SUM(is_estimated)
FROM usage
WHERE at >= :start AND at < :end AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY what, currency
ORDER BY what, currency;

-- spent_amount
-- By one key since then.
SELECT COALESCE(SUM(amount), 0)
FROM usage
WHERE key_id = :key_id AND at >= :start;

-- billed_microseconds
-- Of one tenant since then.
SELECT COALESCE(SUM(billed_microseconds), 0)
FROM usage
WHERE tenant = :tenant AND at >= :start;

-- remove_old_usage
-- Forget some of what is older, of every tenant.
DELETE FROM usage
WHERE request_id IN (
    SELECT request_id
    FROM usage
    WHERE at < :before
    ORDER BY at
    LIMIT 10000
);
