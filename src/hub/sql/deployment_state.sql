-- A document that is refused because it is old changes nothing of what came of it when it was new; a hello has no
-- reason and takes none away.
UPDATE deployment_devices SET reason = coalesce(?4, CASE WHEN state = ?3 THEN reason END), state = ?3, changed = ?5
WHERE device = ?1 AND gen = ?2 AND NOT (state = ?3 AND (?4 IS NULL OR reason IS ?4))
  AND NOT (?3 IN ('REJECTED', 'SUPERSEDED') AND state IN ('CONFIRMED', 'FAILED', 'ROLLED_BACK', 'INCONSISTENT'))
