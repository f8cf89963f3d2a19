UPDATE streams SET acked = ?3, highest = ?4, stored = stored + ?5, duplicates = duplicates + ?6
WHERE device = ?1 AND epoch = ?2
