SELECT version FROM versions WHERE kind = ?1 AND name = ?2 AND sha256 = ?3
