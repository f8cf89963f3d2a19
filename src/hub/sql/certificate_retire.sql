UPDATE certificates SET revoked = ?3 WHERE device = ?1 AND serial <> ?2 AND revoked IS NULL
