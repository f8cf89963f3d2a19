SELECT id FROM samples WHERE sha256 = ?1
