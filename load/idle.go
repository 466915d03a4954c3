package load

import "context"

func (r *run) idle(ctx context.Context) error { return nil }
