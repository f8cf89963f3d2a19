-- Version 2: what a producer repeats under its own key is stored once. key: "<function>/<key>" of the meta, or null.
ALTER TABLE records ADD COLUMN key TEXT;
CREATE UNIQUE INDEX records_by_key ON records(device, kind, key) WHERE key IS NOT NULL;
UPDATE OR IGNORE records SET key = coalesce(json_extract(meta, '$.function'), '') || '/' || json_extract(meta, '$.key')
WHERE json_type(meta, '$.key') = 'text' AND length(CAST(json_extract(meta, '$.key') AS BLOB)) BETWEEN 1 AND 200
  AND coalesce(json_type(meta, '$.function'), 'text') = 'text';
