UPDATE devices SET rotate_asked = NULL WHERE id = ?1
