UPDATE samples SET assigned = ?2 WHERE id = ?1
