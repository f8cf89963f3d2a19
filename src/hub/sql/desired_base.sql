SELECT d.gen, (SELECT max(gen) FROM desired WHERE device = d.id),
  (SELECT state FROM deployment_devices x WHERE x.device = d.id ORDER BY gen DESC LIMIT 1), d.seen
FROM devices d WHERE d.id = ?1 AND d.revoked IS NULL
