SELECT d.picture, s.content_type FROM devices d JOIN samples s ON s.sha256 = d.picture WHERE d.id = ?1
