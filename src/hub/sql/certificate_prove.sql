UPDATE certificates SET proven = coalesce(proven, ?2) WHERE serial = ?1
