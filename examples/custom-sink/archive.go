package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/godstream/godstream/sink"
)

// Archive is a sink that puts each batch under a URL of its own, the batch's ID
// below URL, with one request. The body has a line of JSON for each element; that
// of an empty batch is empty. Two outputs need two URLs.
type Archive[T any] struct {
	URL string // such as "http://host/totals"
}

// Check returns what is wrong with the settings. stream.To asks it.
func (a Archive[T]) Check() error {
	if u, err := url.Parse(a.URL); err != nil || u.Host == "" {
		return fmt.Errorf("archive: URL is %q; it must be like http://host/totals", a.URL)
	}
	return nil
}

// String describes the sink in plans and errors.
func (a Archive[T]) String() string { return "archive " + a.URL }

// Delivery implements sink.Sink: a batch that is put again replaces itself.
func (a Archive[T]) Delivery() sink.Delivery { return sink.Idempotent }

// Open implements sink.Sink. It does not connect: a server that is gone fails the
// first Write.
func (a Archive[T]) Open(context.Context, sink.Options) (sink.Writer[T], error) {
	return &writer[T]{a.URL, &http.Client{
		Transport:     &http.Transport{},
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it could become a GET
	}}, nil
}

type writer[T any] struct {
	url    string
	client *http.Client
}

// Write implements sink.Writer. Nothing is tried again here: an error means that
// the server may have the batch or not.
func (w *writer[T]) Write(ctx context.Context, b sink.Batch[T]) error {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for i, element := range slices.Concat(b.Parts...) {
		if err := lines.Encode(element); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, w.url+"/"+b.ID, &body)
	if err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err // names the URL, and why ctx has ended
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent: // not Accepted: that is not safe yet
		return nil
	}
	why, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	return fmt.Errorf("put %s: %s: %s", request.URL, response.Status, bytes.TrimSpace(why))
}

// Close implements sink.Writer.
func (w *writer[T]) Close() error {
	w.client.CloseIdleConnections()
	return nil
}
