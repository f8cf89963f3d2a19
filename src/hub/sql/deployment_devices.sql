SELECT device, gen, state, reason FROM deployment_devices WHERE deployment = ?1 ORDER BY device
