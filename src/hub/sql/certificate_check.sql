SELECT c.device FROM certificates c JOIN devices d ON d.id = c.device
WHERE c.serial = ?1 AND c.device = ?2 AND c.revoked IS NULL AND d.revoked IS NULL
