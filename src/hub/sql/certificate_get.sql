SELECT pem FROM certificates WHERE serial = ?1
