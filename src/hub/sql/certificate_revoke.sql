UPDATE certificates SET revoked = ?2 WHERE device = ?1 AND revoked IS NULL
