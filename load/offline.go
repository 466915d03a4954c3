package load

import "context"

func (r *run) offline(ctx context.Context) error { return nil }
