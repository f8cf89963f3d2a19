SELECT sha256, assigned, content_type FROM samples WHERE assigned IS NOT NULL ORDER BY sha256
