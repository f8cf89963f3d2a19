SELECT CASE WHEN online = 0 THEN -1 ELSE last_seen > ?2 END FROM devices WHERE id = ?1 AND revoked IS NULL
