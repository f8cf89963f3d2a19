UPDATE enroll_tokens SET used = ?2, device = ?3, request = ?4, serial = ?5 WHERE hash = ?1 AND used IS NULL
