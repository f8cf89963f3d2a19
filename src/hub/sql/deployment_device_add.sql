INSERT INTO deployment_devices(deployment, device, gen, before_gen, changed)
VALUES (?1, ?2, ?3, ?4, ?5)
