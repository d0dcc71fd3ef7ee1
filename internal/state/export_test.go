package state

// Numbers is how much room the keys of a window take.
func Numbers[K comparable, V any](w *Window[K, V]) int { return w.keys.Numbers() }
