INSERT INTO blobs(sha256, size, created) VALUES (?1, ?2, ?3)
ON CONFLICT(sha256) DO UPDATE SET created = max(created, excluded.created)
