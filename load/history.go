package load

import "context"

func (r *run) history(ctx context.Context) error { return nil }
