INSERT INTO enroll_tokens(hash, device, created, expires) VALUES (?1, ?2, ?3, ?4)
