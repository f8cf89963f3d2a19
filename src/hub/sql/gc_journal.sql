INSERT INTO collected(sha256, size, created, why, ts)
SELECT sha256, size, created, 'nothing refers to it', ?2 FROM blobs
WHERE created < ?1 AND sha256 NOT IN (SELECT sha256 FROM blobs_used) ORDER BY created, sha256
