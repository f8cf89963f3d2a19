UPDATE devices SET online = 0 WHERE id = ?1 AND online <> 0
