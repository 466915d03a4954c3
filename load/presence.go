package load

import "context"

func (r *run) presence(ctx context.Context) error { return nil }
