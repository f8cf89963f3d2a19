SELECT expires FROM sessions WHERE hash = ?1 AND expires > ?2
