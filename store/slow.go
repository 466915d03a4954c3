package store

// Slow reports whether Begin may have to wait.
func (s *Store) Slow() bool { return s.slow.Load() }
