SELECT document FROM desired WHERE device = ?1 AND gen = ?2
