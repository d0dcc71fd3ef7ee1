package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	maxAnswer = 8 << 20 // bytes of an answer
	maxAbsent = 10000   // answers that there is no such thing; hostile records may ask for any
	firstWait = 100 * time.Millisecond
	longWait  = 2 * time.Second
)

var errPanic = errors.New("Config.HTTP panicked")

type request struct {
	path  string
	body  any  // POST if there is one
	fresh bool // the answer is not kept
}

// answer is what the registry answers to any request.
type answer struct {
	ID         *uint32     `json:"id"`
	Schema     *string     `json:"schema"`
	SchemaType string      `json:"schemaType"`
	References []Reference `json:"references"`
}

func readSchema(a answer) (Schema, error) {
	if a.Schema == nil {
		return Schema{}, errors.New("the answer has no schema")
	}
	if a.SchemaType == "" {
		a.SchemaType = "AVRO"
	}
	return Schema{Type: a.SchemaType, Text: *a.Schema, References: a.References}, nil
}

// ask is the answer to a request, once for all who ask at the same time. The
// first of them does the work; if its context ends, another one does.
func ask[T any](ctx context.Context, c *Client, what string, r request, read func(answer) (T, error)) (T, error) {
	var zero T
	if err := c.Err(); err != nil {
		return zero, err
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return zero, fmt.Errorf("registry: %s: %w", what, err)
		}
	}
	key := r.path + "\n" + string(body)
	for {
		mine, found, err := c.join(key)
		if err != nil {
			return zero, fmt.Errorf("registry: %s: %w", what, err)
		}
		if !found {
			func() {
				mine.err = errPanic // of Config.HTTP; who waits must learn of it
				defer c.settle(ctx, key, mine, r.fresh)
				a, err := c.attempts(ctx, r.path, body)
				if err == nil {
					if mine.value, err = read(a); err != nil {
						err = unavailable(err)
					}
				}
				mine.err = err
			}()
		}
		select {
		case <-mine.done:
		case <-ctx.Done():
			return zero, fmt.Errorf("registry: %s: %w", what, ctx.Err())
		}
		switch {
		case mine.err == nil:
			return mine.value.(T), nil
		case found && (errors.Is(mine.err, context.Canceled) || errors.Is(mine.err, context.DeadlineExceeded)) && !errors.Is(mine.err, ErrUnavailable) && ctx.Err() == nil:
			continue // that was the context of another one
		}
		return zero, fmt.Errorf("registry: %s: %w", what, mine.err)
	}
}

// join is the call with this key, and whether somebody makes it or has made it.
func (c *Client) join(key string) (mine *call, found bool, err error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	now := time.Now()
	if mine := c.calls[key]; mine != nil {
		if mine.until.IsZero() || now.Before(mine.until) {
			return mine, true, nil
		}
		delete(c.calls, key)
		c.absent--
	}
	if now.Before(c.until) {
		return nil, false, fmt.Errorf("not asked again for %s: %w", c.until.Sub(now).Round(time.Second/10), c.down)
	}
	mine = &call{done: make(chan struct{})}
	c.calls[key] = mine
	return mine, false, nil
}

// settle makes the answer known to those who wait, and keeps it if it lasts.
func (c *Client) settle(ctx context.Context, key string, mine *call, fresh bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	var answered *Error
	switch now := time.Now(); {
	case mine.err == nil && !fresh: // kept
	case mine.err != nil && !fresh && errors.As(mine.err, &answered) && !errors.Is(mine.err, ErrUnavailable):
		if c.absent >= maxAbsent {
			for key, old := range c.calls {
				if !old.until.IsZero() {
					delete(c.calls, key)
				}
			}
			c.absent = 0
			c.calls[key] = mine
		}
		mine.until = now.Add(c.config.Pause)
		c.absent++
	default:
		delete(c.calls, key)
		if errors.Is(mine.err, ErrUnavailable) && ctx.Err() == nil {
			c.until, c.down = now.Add(c.config.Pause), mine.err
		}
	}
	close(mine.done)
}

// attempts makes a request until it is answered, or for as long as the Config says.
func (c *Client) attempts(caller context.Context, path string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(caller, c.config.Timeout)
	defer cancel()
	began, wait := time.Now(), firstWait
	for n := 1; ; n++ {
		a, again, err := c.attempt(ctx, path, body)
		if err == nil {
			return a, nil
		}
		if caller.Err() != nil {
			return answer{}, caller.Err()
		}
		if !again {
			return answer{}, err
		}
		pause := wait/2 + rand.N(wait/2+1) // so that not all programs come at once
		if time.Since(began)+pause >= c.config.Timeout || ctx.Err() != nil {
			return answer{}, fmt.Errorf("%d attempts in %s: %w", n, time.Since(began).Round(time.Second/10), err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-caller.Done():
			timer.Stop()
			return answer{}, caller.Err()
		}
		wait = min(2*wait, longWait)
	}
}

// attempt makes a request once, and tells whether another one may fare better.
func (c *Client) attempt(ctx context.Context, path string, body []byte) (a answer, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.config.Timeout/3, time.Millisecond))
	defer cancel()
	method, reader := http.MethodGet, io.Reader(nil)
	if body != nil {
		method, reader = http.MethodPost, bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, reader)
	if err != nil {
		return a, false, c.blame(err)
	}
	r.Header.Set("Accept", "application/vnd.schemaregistry.v1+json, application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	}
	if c.config.User != "" {
		r.SetBasicAuth(c.config.User, c.config.Password)
	}
	response, err := c.config.HTTP.Do(r)
	if err != nil {
		var certificate *tls.CertificateVerificationError
		return a, !errors.As(err, &certificate), c.blame(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return a, true, c.blame(err)
	}
	if len(text) > maxAnswer {
		return a, false, c.blame(fmt.Errorf("the answer is longer than %d bytes", maxAnswer))
	}
	if response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &a); err != nil {
			return answer{}, false, c.blame(fmt.Errorf("the answer is not that of a registry: %w", err))
		}
		return a, false, nil
	}
	refusal := &Error{Status: response.StatusCode}
	var said struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	isRegistry := json.Unmarshal(text, &said) == nil && said.Code != 0
	refusal.Code, refusal.Message = said.Code, c.clean(said.Message)
	if !isRegistry {
		refusal.Message = http.StatusText(response.StatusCode)
	}
	switch status := response.StatusCode; {
	case isRegistry && (status == http.StatusNotFound || status == http.StatusConflict || status == http.StatusUnprocessableEntity):
		return a, false, refusal
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return a, true, unavailable(refusal)
	default: // wrong credentials, another server
		return a, false, unavailable(refusal)
	}
}

// blame is an error that is the registry's, without the password.
func (c *Client) blame(err error) error {
	if text := c.clean(err.Error()); text != err.Error() {
		err = errors.New(text)
	}
	return unavailable(err)
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// clean is a text of others in one line, cut short and without the password.
func (c *Client) clean(text string) string {
	if c.config.Password != "" {
		text = strings.ReplaceAll(text, c.config.Password, "***")
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "\ufffd")), " ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}
