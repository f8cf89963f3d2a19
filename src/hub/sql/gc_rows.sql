DELETE FROM blobs WHERE sha256 IN (SELECT sha256 FROM collected WHERE id > ?1)
