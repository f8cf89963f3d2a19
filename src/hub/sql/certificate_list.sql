SELECT serial, issued, expires, proven, revoked FROM certificates WHERE device = ?1 ORDER BY rowid DESC LIMIT 1000
