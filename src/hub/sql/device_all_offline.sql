UPDATE devices SET online = 0 WHERE online <> 0
