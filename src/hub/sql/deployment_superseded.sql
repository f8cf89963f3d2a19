UPDATE deployment_devices SET state = 'SUPERSEDED', changed = ?3
WHERE device = ?1 AND gen < ?2
  AND state NOT IN ('CONFIRMED', 'REJECTED', 'FAILED', 'ROLLED_BACK', 'INCONSISTENT', 'SUPERSEDED')
