SELECT id, sha256 FROM collected WHERE outcome IS NULL AND id > ?1 ORDER BY id LIMIT 256
