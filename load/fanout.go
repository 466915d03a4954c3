package load

import "context"

// The ways for one to write to all.
const (
	Broadcast = "broadcast" // the command of Parley
	Room      = "room"      // XEP-0045
)

func (r *run) fanout(ctx context.Context) error { return nil }
