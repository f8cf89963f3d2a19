UPDATE certificates SET revoked = ?2 WHERE device = ?1 AND proven IS NULL AND revoked IS NULL
