SELECT size FROM blobs WHERE sha256 = ?1
