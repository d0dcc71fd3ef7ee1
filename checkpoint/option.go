package checkpoint

// Option says how a program that has changed takes over a checkpoint: see
// stream.GetOrCreate.
type Option struct {
	drop, accept string
}

// Drop gives up what an operator or source of this name kept, or that a
// transactional output of this name has batches. Without it, a program that has no
// operator of that name is refused, and so is one in which another output may be
// this one under a new name.
func Drop(name string) Option { return Option{drop: name} }

// AcceptLoss takes over what the operator of this name kept although its types
// have lost fields: what these held is given up.
func AcceptLoss(name string) Option { return Option{accept: name} }

// Names returns the names given to [Drop] and [AcceptLoss], for engines.
func Names(opts []Option) (drop, accept []string) {
	for _, o := range opts {
		if o.drop != "" {
			drop = append(drop, o.drop)
		}
		if o.accept != "" {
			accept = append(accept, o.accept)
		}
	}
	return drop, accept
}
