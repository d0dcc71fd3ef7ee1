package state

// Numbers is how much room the keys of a window take.
func Numbers[K comparable, V any](w *Window[K, V]) int { return w.keys.Numbers() }

// Times is how many times of touches are kept.
func Times[K comparable, S any](t *States[K, S]) int { return len(t.times) }
