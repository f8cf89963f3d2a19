SELECT sha256, size, created FROM blobs WHERE created < ?1 AND sha256 NOT IN (SELECT sha256 FROM blobs_used)
ORDER BY created, sha256
