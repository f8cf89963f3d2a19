SELECT revoked IS NOT NULL FROM devices WHERE id = ?1
