UPDATE devices SET rotate_asked = ?2 WHERE id = ?1 AND revoked IS NULL
