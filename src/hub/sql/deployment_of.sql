SELECT deployment, state FROM deployment_devices WHERE device = ?1 AND gen = ?2
