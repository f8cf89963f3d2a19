SELECT id FROM devices WHERE revoked IS NULL ORDER BY id
