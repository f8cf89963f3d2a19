UPDATE devices SET picture = ?2, picture_ts = ?3 WHERE id = ?1
