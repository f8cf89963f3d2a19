SELECT seq FROM records WHERE device = ?1 AND epoch = ?2 AND seq > ?3 ORDER BY seq
