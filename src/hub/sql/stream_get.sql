SELECT acked, highest FROM streams WHERE device = ?1 AND epoch = ?2
