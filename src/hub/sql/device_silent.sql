SELECT id FROM devices WHERE online <> 0 AND last_seen < ?1
