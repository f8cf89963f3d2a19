INSERT INTO collected(sha256, size, created, why, ts, outcome) VALUES (?1, ?2, ?3, ?4, ?5, 'removed')
