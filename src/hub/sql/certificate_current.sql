SELECT c.serial, c.issued, c.expires, d.rotate_asked IS NOT NULL FROM certificates c JOIN devices d ON d.id = c.device
WHERE c.device = ?1 AND c.revoked IS NULL AND c.proven IS NOT NULL AND d.revoked IS NULL
ORDER BY c.rowid DESC LIMIT 1
