package kafka

import (
	"strings"

	"github.com/rcrowley/go-metrics"
)

// noMetrics is a registry that keeps nothing. The usual one starts a goroutine
// that never ends.
type noMetrics struct{}

// GetOrRegister returns a metric of the kind that the function metric makes.
func (noMetrics) GetOrRegister(_ string, metric any) any {
	switch metric.(type) {
	case func() metrics.Meter:
		return metrics.NilMeter{}
	case func() metrics.Histogram:
		return metrics.NilHistogram{}
	case func() metrics.Counter:
		return metrics.NilCounter{}
	case func() metrics.Gauge:
		return metrics.NilGauge{}
	case func() metrics.Timer:
		return metrics.NilTimer{}
	}
	return metric
}

func (noMetrics) Each(func(string, any))            {}
func (noMetrics) Get(string) any                    { return nil }
func (noMetrics) GetAll() map[string]map[string]any { return nil }
func (noMetrics) Register(string, any) error        { return nil }
func (noMetrics) RunHealthchecks()                  {}
func (noMetrics) Unregister(string)                 {}
func (noMetrics) UnregisterAll()                    {}

// withoutMeter keeps the client from making a meter for a topic in the registry
// of the process, which it does whatever registry it is given (it encodes each
// request a first time without one).
func withoutMeter(topic string) {
	metrics.DefaultRegistry.GetOrRegister("consumer-fetch-rate-for-topic-"+strings.ReplaceAll(topic, ".", "_"), metrics.NilMeter{})
}
