package load

import "context"

// idle: everybody signs in and does nothing. What counts is the server's memory at the end.
func (r *run) idle(ctx context.Context) error {
	list, err := r.enter(ctx, 0, len(r.users))
	if err != nil {
		return err
	}
	if err := r.arrive(ctx, list); err != nil {
		return err
	}
	if err := r.warmed(ctx); err != nil {
		return err
	}
	r.result.Count = int64(len(list))
	return nil
}
