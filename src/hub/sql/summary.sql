SELECT (SELECT count(*) FROM devices WHERE revoked IS NULL),
  (SELECT count(*) FROM devices WHERE revoked IS NULL AND online <> 0),
  (SELECT count(DISTINCT name) FROM versions WHERE kind = 'model'),
  (SELECT count(*) FROM samples WHERE assigned IS NULL), (SELECT count(*) FROM samples WHERE assigned IS NOT NULL),
  (SELECT coalesce(sum(stored), 0) FROM streams), (SELECT coalesce(sum(duplicates), 0) FROM streams),
  (SELECT count(*) FROM records WHERE kind = 3)
