SELECT count(*) FROM certificates WHERE device = ?1 AND issued > ?2
