UPDATE devices SET online = 1, last_seen = ?2, gen = CASE WHEN ?4 = 'CONFIRMED' THEN ?3 ELSE gen END,
  seen = max(seen, ?3), state = ?4, reason = ?5, models = coalesce(?6, models), functions = coalesce(?7, functions),
  swap_ms = CASE WHEN ?8 >= 0 THEN ?8 ELSE swap_ms END
WHERE id = ?1 AND revoked IS NULL
