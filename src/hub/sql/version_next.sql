SELECT coalesce(max(version), 0) + 1 FROM versions WHERE kind = ?1 AND name = ?2
