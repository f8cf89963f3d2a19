UPDATE devices SET online = 1, last_seen = ?2, gen = ?3, seen = ?4, state = ?5, agent = ?6, cpu = ?7,
  reason = CASE WHEN state = ?5 THEN reason END
WHERE id = ?1 AND revoked IS NULL
