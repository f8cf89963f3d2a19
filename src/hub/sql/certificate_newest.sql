SELECT serial, issued, expires, proven IS NOT NULL FROM certificates WHERE device = ?1 AND revoked IS NULL
ORDER BY rowid DESC LIMIT 1
