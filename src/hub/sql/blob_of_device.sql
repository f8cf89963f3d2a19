SELECT 1 FROM desired WHERE device = ?1 AND instr(document, ?2) > 0 LIMIT 1
