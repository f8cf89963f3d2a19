INSERT INTO certificates(serial, device, pem, issued, expires, proven, request) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
