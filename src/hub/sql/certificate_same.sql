SELECT serial, pem, expires FROM certificates WHERE device = ?1 AND request = ?2 AND revoked IS NULL
