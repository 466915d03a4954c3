package load

import "context"

func (r *run) churn(ctx context.Context) error { return nil }
