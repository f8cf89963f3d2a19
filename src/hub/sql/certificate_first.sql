SELECT min(issued) FROM certificates WHERE device = ?1
