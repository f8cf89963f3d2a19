SELECT x.device, x.before_gen FROM deployment_devices x JOIN devices d ON d.id = x.device
WHERE x.deployment = ?1 AND d.revoked IS NULL ORDER BY x.device
