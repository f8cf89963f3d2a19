UPDATE deployment_devices SET state = ?3, reason = ?4, changed = ?5
WHERE device = ?1 AND gen = ?2 AND NOT (state = ?3 AND reason IS ?4)
