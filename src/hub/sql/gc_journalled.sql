SELECT sha256, size, created FROM collected WHERE id > ?1 ORDER BY id
