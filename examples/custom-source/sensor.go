package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/godstream/godstream/source"
)

// Reading is what a sensor measured.
type Reading struct {
	ID      int64 // 1, 2, …
	Sensor  string
	Celsius float64
	At      time.Time
}

// Station is a source of readings: an HTTP server that is asked again and again
// for those after the last one it gave.
type Station struct {
	URL   string
	Every time.Duration // between questions while there is nothing new
}

// String describes the source in plans and errors.
func (s Station) String() string { return "station " + s.URL }

// Open implements source.Source. It does not connect: a station that is down is
// tried again.
func (s Station) Open(_ context.Context, o source.Options) (source.Reader[Reading], error) {
	o = o.Defaults()
	b := source.NewBuffer[Reading](o)
	b.Spread() // there is one partition only
	feed := b.Feed(s.URL, 0)
	b.Go(func(ctx context.Context) error {
		client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
		defer client.CloseIdleConnections()
		for last := int64(0); ; {
			readings, err := s.after(ctx, client, last)
			for _, r := range readings {
				last = r.ID
				if err := feed.Put(r, r.ID, 100, r.At); err != nil {
					return err // closed
				}
			}
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				b.Retried()
				o.Logger.Warn("no readings, trying again", "source", o.Name, "reason", err)
			case len(readings) > 0:
				continue
			case o.Replay: // that is all there is
				feed.End()
				return nil
			}
			select {
			case <-time.After(s.Every):
			case <-ctx.Done():
			}
		}
	})
	return b, nil
}

// after asks for some readings after one.
func (s Station) after(ctx context.Context, client *http.Client, id int64) (readings []Reading, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s?after=%d", s.URL, id), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&readings)
	return readings, err
}
