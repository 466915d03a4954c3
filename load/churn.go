package load

import "context"

// churn: half of the accounts write to each other, in pairs, as in chat, while a window of the others come and go, some in order
// and some not.
func (r *run) churn(ctx context.Context) error {
	stay := len(r.users) / 2 &^ 1
	talk, err := r.pair(ctx, stay)
	if err != nil {
		return err
	}
	v := r.visitors(stay, len(r.users), true)
	coming, stop := v.start(ctx, r.cfg.Window)
	talk.begin(1)
	err = r.loop.run(coming, r.loop.clock()+r.cfg.Warmup, nil)
	v.reset()
	if err == nil {
		err = r.counted(coming)
	}
	visits, latency := v.so()
	stop()
	talk.over = true
	if err == nil {
		err = r.drain(ctx)
	}
	r.result.Phases = []Phase{{Name: "messages", Count: r.units, PerSecond: r.result.PerSecond, Latency: latencyOf(r.latency)}}
	r.result.Count, r.result.PerSecond, r.latency = visits, float64(visits)/r.result.Seconds, latency
	if s := r.result.Server; s != nil && visits > 0 {
		s.CPU *= float64(r.units) / float64(visits)
	}
	return err
}
