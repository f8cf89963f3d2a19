UPDATE devices SET online = 1, last_seen = ?2 WHERE id = ?1 AND revoked IS NULL
