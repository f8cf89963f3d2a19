INSERT INTO audit(ts, actor, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)
