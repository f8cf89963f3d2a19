INSERT INTO sessions(hash, expires) VALUES (?1, ?2)
