SELECT serial, revoked FROM certificates WHERE revoked IS NOT NULL AND expires > ?1 ORDER BY serial
