package kafka

import (
	"context"
	"time"
)

var FirstVisible = firstVisible

// Pauses is how often a sink tries again, and what it does before.
func Pauses(c SinkConfig) (limit int, pause func(retries, limit int) time.Duration) {
	l := &link{session: &session{dialer: &dialer{life: context.Background()}}}
	l.begin(c.WriteTimeout)
	retry := c.client(l).Producer.Retry
	return retry.Max, retry.BackoffFunc
}
