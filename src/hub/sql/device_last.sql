UPDATE devices SET last_label = ?2, last_score = ?3, last_ts = ?4 WHERE id = ?1
