package loadgen

// pace wakes each sender when its next message is due, until stop is closed and a cancelled.
func (r *run) pace(a alarm, stop <-chan struct{}) {
	for k := uint64(0); ; k++ {
		for wait := r.plan.due(k) - r.now(); wait > 0; wait = r.plan.due(k) - r.now() {
			a.sleep(wait)
			if ended(stop) {
				return
			}
		}
		r.senders[k%uint64(len(r.senders))].poke()
		if k&0xff == 0 && ended(stop) {
			return
		}
	}
}

func ended(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
