package load

import "context"

func (r *run) login(ctx context.Context) error { return nil }
