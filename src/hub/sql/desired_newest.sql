SELECT gen, envelope FROM desired WHERE device = ?1 ORDER BY gen DESC LIMIT 1
