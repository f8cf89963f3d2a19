SELECT serial, issued, expires, proven IS NOT NULL FROM certificates WHERE serial = ?1 AND device = ?2 AND revoked IS NULL
