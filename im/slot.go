package im

// Slot is something that one extension keeps with each session, and that is gone with it. It may be used anywhere, with
// any lock held.
type Slot[T any] struct{ at int }

// NewSlot is a new one, for extensions that are being made: before the first session.
func NewSlot[T any](v *Server) Slot[T] {
	v.slots++
	return Slot[T]{v.slots - 1}
}

// Get is what is kept with s, nil for nothing.
func (k Slot[T]) Get(s *Session) *T {
	p, _ := s.slots[k.at].Load().(*T)
	return p
}

// Set keeps p with s; nil takes away what is kept.
func (k Slot[T]) Set(s *Session, p *T) {
	s.slots[k.at].Store(p)
	s.stale.Store(true)
}
