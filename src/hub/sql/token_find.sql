SELECT device, expires, used, request, serial FROM enroll_tokens WHERE hash = ?1
