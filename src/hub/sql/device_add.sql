INSERT INTO devices(id, created) VALUES (?1, ?2) ON CONFLICT(id) DO NOTHING
