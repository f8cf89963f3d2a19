UPDATE devices SET revoked = ?2, online = 0 WHERE id = ?1 AND revoked IS NULL
