package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/godstream/godstream/source"
)

// Station is a source of readings: an HTTP server that is asked again and again
// for those after the last one it gave. It is one partition; the position of a
// reading is its ID. A station that is down is asked again, too.
type Station struct {
	URL   string        // such as "http://host/readings"
	Every time.Duration // between questions while there is nothing new
}

// Check returns what is wrong with the settings. stream.From asks it.
func (s Station) Check() error {
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || s.Every <= 0 {
		return fmt.Errorf("station: URL is %q and Every is %v; they must be like http://host/readings and 1s", s.URL, s.Every)
	}
	return nil
}

// String describes the source in plans and errors.
func (s Station) String() string { return "station " + s.URL }

// Open implements source.Source. It does not connect.
func (s Station) Open(_ context.Context, o source.Options) (source.Reader[Reading], error) {
	o = o.Defaults()
	b := source.NewBuffer[Reading](o)
	b.Spread()                 // the source has no partitions of its own
	at, _ := o.Position(s.URL) // zero without a checkpoint
	feed := b.Feed(s.URL, at.Offset)
	b.Go(func(ctx context.Context) error { // ctx ends when the reader is closed
		client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
		defer client.CloseIdleConnections()
		for last := at.Offset; ; {
			switch readings, err := s.after(ctx, client, last); {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				b.Retried()
				o.Logger.Warn("no readings, trying again", "source", o.Name, "reason", err)
			case len(readings) > 0:
				for _, r := range readings {
					if err := feed.Put(r, r.ID, 100, r.At); err != nil {
						return err // the reader has been closed
					}
					last = r.ID
				}
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

// after asks for some readings after one. With an error, they are not to be used.
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
		return nil, fmt.Errorf("get %s: %s", request.URL, response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&readings)
	return readings, err
}
